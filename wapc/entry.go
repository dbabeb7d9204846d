package wapc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"unicode/utf8"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// preparation is the version of all that is done to a module before it is
// compiled, and of the form of an entry. Whoever changes either, raises it: what is
// in a cache was prepared in the old way, and programs of two versions may share
// one.
const preparation = 4

// moduleKey names what a module becomes here.
type moduleKey [sha256.Size]byte

// keyOf hashes a module without its custom sections, except the names.
func keyOf(module []byte, traced bool) (key moduleKey, err error) {
	sections, err := wasm.Sections(module)
	if err != nil {
		return key, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "waxo %d %s %s\n", preparation, runtime.GOOS, runtime.GOARCH)
	if traced {
		fmt.Fprintln(h, "traced")
	}
	for _, s := range sections {
		if !utf8.ValidString(s.Name) {
			return key, fmt.Errorf("%w: the name of a custom section is not UTF-8", wasm.ErrMalformed)
		}
		if s.ID != 0 || s.Name == wasm.NameSection {
			h.Write(module[s.Start:s.End])
		}
	}
	h.Sum(key[:0])
	return key, nil
}

// An entry of the cache is a folder: the machine code, where the engine looks
// for it, and a file with the rest of what a start needs. The file is a line
// that says what it is, a checksum of all that follows, the header, the skeleton,
// and the spans of the image. In the header, numbers are varints as those of
// encoding/binary, and lengths stand before texts and lists.
const (
	entryFile  = "module"
	entryMagic = "waxo module 2\n"
)

type entryHeader struct {
	facts
	Key         moduleKey
	MachineCode string // its file, in the entry's folder
	Size        int64  // of that file
	Sum         uint32
}

// castagnoli is what processors have an instruction for. The checksums find
// damage; whoever may write to the directory is trusted.
func castagnoli() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

var errDamaged = errors.New("the entry is damaged")

// encodeEntry returns what decodeEntry takes apart.
func encodeEntry(h entryHeader, p *prepared) []byte {
	h.facts = p.facts
	b := append([]byte(entryMagic), 0, 0, 0, 0)
	number := func(n uint64) { b = binary.AppendUvarint(b, n) }
	text := func(s string) {
		number(uint64(len(s)))
		b = append(b, s...)
	}
	number(uint64(len(h.Imports)))
	for _, s := range h.Imports {
		text(s)
	}
	number(uint64(h.Form))
	number(uint64(h.MemoryMin))
	b = append(b, h.Key[:]...)
	text(h.MachineCode)
	number(uint64(h.Size))
	number(uint64(h.Sum))
	number(uint64(len(p.skeleton)))
	number(uint64(len(p.spans)))
	for _, s := range p.spans {
		number(s.at)
		number(uint64(len(s.data)))
	}
	b = append(b, p.skeleton...)
	for _, s := range p.spans {
		b = append(b, s.data...)
	}
	sum := castagnoli()
	sum.Write(b[len(entryMagic)+4:])
	binary.LittleEndian.PutUint32(b[len(entryMagic):], sum.Sum32())
	return b
}

// decodeEntry takes apart what encodeEntry has made. What it returns aliases b.
func decodeEntry(b []byte) (h entryHeader, p *prepared, err error) {
	if len(b) < len(entryMagic)+4 || !bytes.HasPrefix(b, []byte(entryMagic)) {
		return h, nil, errDamaged
	}
	b = b[len(entryMagic):]
	r := entryReader{rest: b[4:]}
	sum := castagnoli()
	sum.Write(r.rest)
	if sum.Sum32() != binary.LittleEndian.Uint32(b) {
		return h, nil, errDamaged
	}
	for range r.number() {
		if r.damaged {
			break
		}
		h.Imports = append(h.Imports, string(r.part(r.number())))
	}
	h.Form, h.MemoryMin = callForm(r.number()), int64(r.number())
	copy(h.Key[:], r.part(uint64(len(h.Key))))
	h.MachineCode = string(r.part(r.number()))
	h.Size, h.Sum = int64(r.number()), uint32(r.number())
	p = &prepared{facts: h.facts}
	skeleton := r.number()
	type place struct{ at, size uint64 }
	var places []place
	for range r.number() {
		if r.damaged {
			break
		}
		places = append(places, place{r.number(), r.number()})
	}
	p.skeleton = r.part(skeleton)
	for _, s := range places {
		p.spans = append(p.spans, span{s.at, r.part(s.size)})
	}
	if r.damaged || len(r.rest) > 0 {
		return h, nil, errDamaged
	}
	return h, p, nil
}

// entryReader reads what stands in an entry, one after the other.
type entryReader struct {
	rest    []byte
	damaged bool
}

func (r *entryReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.damaged = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *entryReader) part(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.damaged = true
		return nil
	}
	part := r.rest[:n:n]
	r.rest = r.rest[n:]
	return part
}

// sumFile returns the checksum and the size of a file.
func sumFile(path string) (sum uint32, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h := castagnoli()
	size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return h.Sum32(), size, err
}

// machineCode finds the one file that the engine has put into a folder for its
// cache, as a path in there.
func machineCode(folder string) (string, error) {
	files, err := fs.Glob(os.DirFS(folder), "wazero-*/*")
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("the engine left %d files in its cache, not one", len(files))
	}
	return filepath.FromSlash(files[0]), nil
}
