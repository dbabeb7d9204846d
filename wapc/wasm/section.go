// Package wasm reads, changes and writes the binary format of WebAssembly.
//
// It serves those who must look into a module without running it, or change
// it: the claims at its end, the imports that it asks for, the functions that
// sealing replaces. [Sections] finds the sections; [Imports] and [Exports] tell
// what crosses the module's border, with types. [Decode] takes a whole module
// apart and [Module.Encode] puts it together again; a [Reader] walks the
// instructions of a function, [Module.RenumberFuncs] changes all function
// indexes, and [Code] assembles new functions.
//
// It runs nothing, and it does not validate: a module whose structure is right
// may have code whose types are wrong, which is for the engine to refuse. What
// it does not know it refuses; it never guesses. Nothing that stands in a
// module makes it panic, or makes it allocate more than a small multiple of
// the module's length.
//
// The format is that of the WebAssembly core specification 2.0, chapter 5, with
// the proposals for tail calls and extended constant expressions.
package wasm

import (
	"errors"
	"fmt"
)

// Magic is the preamble of every module: "\0asm" and the version 1.
var Magic = [8]byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// ErrMalformed is what every error about bytes that are no module matches.
var ErrMalformed = errors.New("malformed module")

// Section is one section as it stands in a module.
type Section struct {
	ID    byte
	Name  string // of a custom section (ID 0), else empty
	Start int    // offset of the section's id byte
	End   int    // offset of the first byte after the section
	// Content is the section's content without id and length; for a custom
	// section, what follows its name. It aliases the module.
	Content []byte
}

// Sections lists a module's sections in the order of the file. It checks the
// preamble and that the sections fill the module exactly; it does not look
// into their contents.
func Sections(module []byte) ([]Section, error) {
	if len(module) < len(Magic) || [8]byte(module[:8]) != Magic {
		return nil, fmt.Errorf("%w: it does not start with the WebAssembly preamble", ErrMalformed)
	}
	var sections []Section
	for at := len(Magic); at < len(module); {
		s := Section{ID: module[at], Start: at}
		size, n, err := Uint32(module[at+1:])
		if err != nil {
			return nil, fmt.Errorf("%w: length of the section at offset %d: %w", ErrMalformed, at, err)
		}
		content := at + 1 + n
		if uint64(size) > uint64(len(module)-content) {
			return nil, fmt.Errorf("%w: the section at offset %d ends after the file", ErrMalformed, at)
		}
		s.End = content + int(size)
		s.Content = module[content:s.End]
		if s.ID == 0 {
			length, n, err := Uint32(s.Content)
			if err != nil || uint64(length) > uint64(len(s.Content)-n) {
				return nil, fmt.Errorf("%w: the custom section at offset %d has no name", ErrMalformed, at)
			}
			s.Name = string(s.Content[n : n+int(length)])
			s.Content = s.Content[n+int(length):]
		}
		sections = append(sections, s)
		at = s.End
	}
	return sections, nil
}

var (
	errTruncated = errors.New("the bytes end in the middle of an integer")
	errOverlong  = errors.New("an integer is longer or larger than its type allows")
)

// Uint32 reads an unsigned LEB128 integer of 32 bits and tells how many bytes
// it took. Padded forms of up to five bytes are accepted, as the specification
// says.
func Uint32(b []byte) (v uint32, n int, err error) {
	for i := range 5 {
		if i >= len(b) {
			return 0, 0, errTruncated
		}
		c := b[i]
		if i == 4 && c > 0x0f {
			return 0, 0, errOverlong
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1, nil
		}
	}
	return 0, 0, errOverlong
}

// AppendUint32 appends v in the shortest unsigned LEB128 form.
func AppendUint32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
