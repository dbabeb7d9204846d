package http

import (
	"iter"
	"unicode/utf8"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/wire"
)

// Header is the header of a request or a response. The zero value is an empty
// one. Names are alike whatever their case. Repeated headers of a request arrive
// as one, joined by commas as HTTP allows.
type Header struct{ fields []field }

type field struct {
	name, value string
	valid       bool // known to be
}

// Get returns the value of a name, the last one where it was added more than once,
// "" if there is none.
func (h *Header) Get(name string) string {
	for i := len(h.fields) - 1; i >= 0; i-- {
		if f := &h.fields[i]; len(f.name) == len(name) && equalFold(f.name, name) {
			return f.value
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
func (h *Header) Add(name, value string) {
	h.fields = append(h.fields, field{name: name, value: value})
}

// Del removes a name.
func (h *Header) Del(name string) {
	if !contains(h.fields, name) {
		return
	}
	kept := make([]field, 0, len(h.fields)) // a copy of h has the fields too
	for _, f := range h.fields {
		if !equalFold(f.name, name) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

// check reports what HTTP does not allow, with a code.
func (h *Header) check(code string) error {
	for i := range h.fields {
		f := &h.fields[i]
		if f.valid {
			continue
		}
		if !validName(f.name) {
			return &waxo.Error{Code: code, Message: "http: \"" + f.name + "\" is no name of a header"}
		}
		if !validValue(f.value) {
			return &waxo.Error{Code: code, Message: "http: the header " + f.name + " holds a control character or is not UTF-8"}
		}
	}
	return nil
}

// appendTo appends the encoded header to b, as entries with the given tag, each
// name once, with its values as one: on the wire a name has one value. Cookies stand
// one a line, because their values may hold commas. Entries stand in the order of
// their names, so that equal headers are equal bytes.
func (h *Header) appendTo(b []byte, tag byte) []byte {
	fields := h.fields
	if !ascending(fields) {
		fields = h.sorted()
	}
	for i := range fields {
		f := &fields[i]
		n := 2 + wire.SizeLen(len(f.name)) + wire.SizeLen(len(f.value))
		b = wire.AppendVarint(append(b, tag), uint64(n))
		b = wire.AppendString(append(b, 1<<3|byte(wire.Bytes)), f.name)
		b = wire.AppendString(append(b, 2<<3|byte(wire.Bytes)), f.value)
	}
	return b
}

// ascending reports whether fields can be written as they stand, as most can.
func ascending(fields []field) bool {
	for i := 1; i < len(fields); i++ {
		if name := fields[i].name; name <= fields[i-1].name || contains(fields[:i], name) {
			return false
		}
	}
	return true
}

// sorted returns the names in order, with what each has as one value.
func (h *Header) sorted() []field {
	list := make([]field, 0, len(h.fields))
	for i := range h.fields {
		f := h.fields[i]
		if contains(h.fields[:i], f.name) {
			continue
		}
		if later := h.fields[i+1:]; contains(later, f.name) {
			f.value = join(&f, later)
		}
		at := len(list)
		for at > 0 && list[at-1].name > f.name {
			at--
		}
		list = append(list, f)
		copy(list[at+1:], list[at:])
		list[at] = f
	}
	return list
}

// join returns the value of f with those that later fields of its name have.
func join(f *field, later []field) string {
	separator, value := ", ", f.value
	if equalFold(f.name, "Set-Cookie") {
		separator = "\n"
	}
	for _, more := range later {
		if equalFold(more.name, f.name) {
			value += separator + more.value
		}
	}
	return value
}

func contains(fields []field, name string) bool {
	for i := range fields {
		if len(fields[i].name) == len(name) && equalFold(fields[i].name, name) {
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
		if c := name[i]; c >= 0x80 || token[c>>6]>>(c&63)&1 == 0 {
			return false
		}
	}
	return name != ""
}

// token has a bit for each character that a name may hold: letters, digits and
// !#$%&'*+-.^_`|~
var token = [2]uint64{0x03ff6cfa00000000, 0x57ffffffc7fffffe}

// validValue reports whether a value cannot be taken for more than one header, and
// is UTF-8.
func validValue(value string) bool {
	ascii := true
	for i := range len(value) {
		c := value[i]
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
		if c >= 0x80 {
			ascii = false
		}
	}
	return ascii || utf8.ValidString(value)
}

// equalFold compares ASCII text without regard to case. It is here because what
// package strings has brings the tables of Unicode into every guest.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
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
