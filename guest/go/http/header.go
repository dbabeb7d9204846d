package http

import (
	"iter"
	"strings"
)

// Header is the header of a request or a response. The zero value is an empty
// one. Names are alike whatever their case. Repeated headers of a request arrive
// as one, joined by commas as HTTP allows.
type Header struct{ fields []field }

type field struct{ name, value string }

// Get returns the value of a name, the last one where it was added more than once,
// "" if there is none.
func (h *Header) Get(name string) string {
	for i := len(h.fields) - 1; i >= 0; i-- {
		if equalFold(h.fields[i].name, name) {
			return h.fields[i].value
		}
	}
	return ""
}

// Set gives a name a value, in place of any that it has.
func (h *Header) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// Add gives a name one more value, as for several cookies in Set-Cookie.
func (h *Header) Add(name, value string) { h.fields = append(h.fields, field{name, value}) }

// Del removes a name.
func (h *Header) Del(name string) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if !equalFold(f.name, name) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

// joined yields each name once, with its values as one: on the wire a name has one
// value. Cookies stand one a line, because their values may hold commas.
func (h *Header) joined() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i, f := range h.fields {
			if contains(h.fields[:i], f.name) {
				continue
			}
			separator, value := ", ", f.value
			if equalFold(f.name, "Set-Cookie") {
				separator = "\n"
			}
			for _, more := range h.fields[i+1:] {
				if equalFold(more.name, f.name) {
					value += separator + more.value
				}
			}
			if !yield(f.name, value) {
				return
			}
		}
	}
}

func contains(fields []field, name string) bool {
	for _, f := range fields {
		if equalFold(f.name, name) {
			return true
		}
	}
	return false
}

// All yields the names and values in the order in which they were added.
func (h *Header) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, f := range h.fields {
			if !yield(f.name, f.value) {
				return
			}
		}
	}
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
