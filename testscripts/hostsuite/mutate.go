package hostsuite

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/waxosuit/waxo/wapc/wasm"
)

var errUnsigned = errors.New("the module has no claims: sign it first")

// mutate spoils a signed module in one way.
func mutate(module []byte, what string, args []string) ([]byte, error) {
	switch what {
	case "flip":
		return flip(module, args)
	case "cut":
		return cut(module, args)
	case "append":
		return appendCustom(module, args)
	case "strip":
		return strip(module)
	case "repeat-claims":
		return repeatClaims(module)
	case "claims-first":
		return claimsFirst(module)
	case "pad-claims":
		return padClaims(module)
	case "rename-claims":
		return renameClaims(module, args)
	}
	return nil, fmt.Errorf("a module is not mutated by %q", what)
}

// sectionNames are the sections that can be flipped, by their numbers.
var sectionNames = [...]string{1: "type", 2: "import", 3: "function", 5: "memory", 7: "export", 10: "code", 11: "data"}

// flip changes a bit in the middle of a section, or of the signature.
func flip(module []byte, args []string) ([]byte, error) {
	if len(args) != 1 {
		return nil, errors.New("flip what? type, import, function, memory, export, code, data, claims or signature")
	}
	b := bytes.Clone(module)
	switch args[0] {
	case "claims", "signature":
		bare, claims, err := splitClaims(module)
		if err != nil || claims == nil {
			return nil, errors.Join(err, errUnsigned)
		}
		dot := bytes.LastIndexByte(claims, '.')
		at := len(bare) + bytes.IndexByte(claims, '.') + 20 // a letter of the payload
		if args[0] == "signature" {
			at = len(bare) + dot + 20
		}
		// Another letter of base64url's.
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		return b, nil
	}
	begin, end, err := findSection(module, slices.Index(sectionNames[:], args[0]))
	if err != nil {
		return nil, err
	}
	b[(begin+end)/2] ^= 1
	return b, nil
}

// findSection tells where a section's content is.
func findSection(module []byte, id int) (begin, end int, err error) {
	for at := 8; at < len(module); at = end {
		size, n, err := wasm.Uint32(module[at+1:])
		if err != nil {
			return 0, 0, err
		}
		begin = at + 1 + n
		end = begin + int(size)
		if int(module[at]) == id {
			return begin, end, nil
		}
	}
	return 0, 0, errors.New("the module has no such section")
}

// cut takes bytes off the end.
func cut(module []byte, args []string) ([]byte, error) {
	if len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); err == nil && n < len(module) {
			return module[:len(module)-n], nil
		}
	}
	return nil, errors.New("cut how many bytes?")
}

// appendCustom appends a custom section.
func appendCustom(module []byte, args []string) ([]byte, error) {
	if len(args) != 2 {
		return nil, errors.New("append the section of which name, with which content?")
	}
	return appendSection(module, args[0], []byte(args[1])), nil
}

func strip(module []byte) ([]byte, error) {
	bare, claims, err := splitClaims(module)
	if err != nil || claims == nil {
		return nil, errors.Join(err, errUnsigned)
	}
	return bare, nil
}

func repeatClaims(module []byte) ([]byte, error) {
	_, claims, err := splitClaims(module)
	if err != nil || claims == nil {
		return nil, errors.Join(err, errUnsigned)
	}
	return slices.Concat(module, claims), nil
}

// claimsFirst puts the claims in front of the module's other sections.
func claimsFirst(module []byte) ([]byte, error) {
	bare, claims, err := splitClaims(module)
	if err != nil || claims == nil {
		return nil, errors.Join(err, errUnsigned)
	}
	return slices.Concat(bare[:8], claims, bare[8:]), nil
}

// padClaims writes the length of the claims' section with a byte more than it
// needs.
func padClaims(module []byte) ([]byte, error) {
	bare, claims, err := splitClaims(module)
	if err != nil || claims == nil {
		return nil, errors.Join(err, errUnsigned)
	}
	size, n, err := wasm.Uint32(claims[1:])
	if err != nil {
		return nil, err
	}
	length := wasm.AppendUint32(nil, size)
	length[len(length)-1] |= 0x80
	return slices.Concat(bare, []byte{0}, length, []byte{0}, claims[1+n:]), nil
}

// renameClaims gives the claims' section another name.
func renameClaims(module []byte, args []string) ([]byte, error) {
	bare, claims, err := splitClaims(module)
	if err != nil || claims == nil {
		return nil, errors.Join(err, errUnsigned)
	}
	if len(args) != 1 {
		return nil, errors.New("rename the claims to what?")
	}
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, err
	}
	return appendSection(bare, args[0], m.Customs[len(m.Customs)-1].Content), nil
}
