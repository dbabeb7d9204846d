package http

import (
	"iter"
	"strings"
)

// Header is the header of a request or a response. The zero value is an empty
// one. Names are alike whatever their case. On the wire, a header has one value
// for a name: repeated ones arrive joined by commas, as HTTP allows.
type Header struct{ fields []field }

type field struct{ name, value string }

// Get returns the value of a name, "" if there is none.
func (h *Header) Get(name string) string {
	if i := h.find(name); i >= 0 {
		return h.fields[i].value
	}
	return ""
}

// Set gives a name a value, in place of any that it has.
func (h *Header) Set(name, value string) {
	if i := h.find(name); i >= 0 {
		h.fields[i] = field{name, value}
		return
	}
	h.fields = append(h.fields, field{name, value})
}

// Del removes a name.
func (h *Header) Del(name string) {
	if i := h.find(name); i >= 0 {
		h.fields = append(h.fields[:i], h.fields[i+1:]...)
	}
}

// All yields the names and values in the order in which they came.
func (h *Header) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, f := range h.fields {
			if !yield(f.name, f.value) {
				return
			}
		}
	}
}

// find looks from the end: the last of two equal names counts, as protobuf has it.
func (h *Header) find(name string) int {
	for i := len(h.fields) - 1; i >= 0; i-- {
		if equalFold(h.fields[i].name, name) {
			return i
		}
	}
	return -1
}

// validName reports whether HTTP allows a header of that name.
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// validValue reports whether a value cannot be taken for more than one header.
func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// equalFold compares ASCII text without regard to case. It is here because what
// package strings has brings the tables of Unicode into every guest.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
