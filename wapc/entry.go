package wapc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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
// compiled. Whoever changes that, raises it: what is in a cache was prepared in
// the old way.
const preparation = 3

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
// that says what it is, a checksum of all that follows, the length of the
// header, the header, the skeleton, and the spans of the image.
const (
	entryFile  = "module"
	entryMagic = "waxo module 1\n"
	entryFixed = len(entryMagic) + 8 // bytes before the header
)

type entryHeader struct {
	facts
	Key         moduleKey
	MachineCode string // its file, in the entry's folder
	Size        int64  // of that file
	Sum         uint32
	Skeleton    int // bytes
	Spans       []entrySpan
}

type entrySpan struct {
	At   uint64
	Size int
}

// castagnoli is what processors have an instruction for. The checksums find
// damage; whoever may write to the directory is trusted.
func castagnoli() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

var errDamaged = errors.New("the entry is damaged")

// encodeEntry returns what readEntry reads.
func encodeEntry(h entryHeader, p *prepared) ([]byte, error) {
	h.facts, h.Skeleton = p.facts, len(p.skeleton)
	for _, s := range p.spans {
		h.Spans = append(h.Spans, entrySpan{s.at, len(s.data)})
	}
	header, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, entryFixed+len(header)+len(p.skeleton)), entryMagic...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = append(append(b, header...), p.skeleton...)
	for _, s := range p.spans {
		b = append(b, s.data...)
	}
	sum := castagnoli()
	sum.Write(b[len(entryMagic)+4:])
	binary.LittleEndian.PutUint32(b[len(entryMagic):], sum.Sum32())
	return b, nil
}

// decodeEntry takes apart what encodeEntry has made. What it returns aliases b.
func decodeEntry(b []byte) (h entryHeader, p *prepared, err error) {
	if len(b) < entryFixed || !bytes.HasPrefix(b, []byte(entryMagic)) {
		return h, nil, errDamaged
	}
	b = b[len(entryMagic):]
	sum := castagnoli()
	sum.Write(b[4:])
	size := binary.LittleEndian.Uint32(b[4:])
	if sum.Sum32() != binary.LittleEndian.Uint32(b) || uint64(size) > uint64(len(b)-8) {
		return h, nil, errDamaged
	}
	if err := json.Unmarshal(b[8:8+size], &h); err != nil {
		return h, nil, errDamaged
	}
	b = b[8+size:]
	part := func(n int) (part []byte) {
		if n < 0 || n > len(b) {
			err = errDamaged
			return nil
		}
		part, b = b[:n:n], b[n:]
		return part
	}
	p = &prepared{facts: h.facts, skeleton: part(h.Skeleton)}
	for _, s := range h.Spans {
		p.spans = append(p.spans, span{s.At, part(s.Size)})
	}
	if err != nil || len(b) > 0 {
		return h, nil, errDamaged
	}
	return h, p, nil
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
