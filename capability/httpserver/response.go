package httpserver

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/http1"
	"github.com/waxosuit/waxo/capability/internal/httpfield"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// answer is a guest's response. It aliases the payload that it was read from.
type answer struct {
	status int
	fields []field
	body   []byte // may be set for HEAD, which does not send it
	length int64  // the Content-Length; negative: none is sent

	sent int    // how many of the fields are sent
	text []byte // their values, one after the other
}

// field is a header of a guest's response.
type field struct {
	name, value []byte
	is          knownHeader // ours where it is not sent
}

// trim lets go of what the answer aliases.
func (a *answer) trim() {
	clear(a.fields)
	a.body = nil
	if cap(a.fields) > maxPooledFields {
		a.fields = nil
	}
}

// decode reads and checks what a guest answered to a request with this method.
func (a *answer) decode(payload []byte, method string, maxBody int64, maxHeader int) *fault {
	status, size, err := a.read(payload, maxHeader)
	switch {
	case err != nil:
		return wrongAnswer(capability.CodeGuest, "what the guest answered is no http.Response: %v", err)
	case int64(len(a.body)) > maxBody:
		return wrongAnswer(capability.CodeTooLarge, "the guest answered a body of %d bytes; the limit is %d", len(a.body), maxBody)
	case status != 0 && status < 200 || status > 999:
		return wrongAnswer(capability.CodeGuest, "the guest answered status %d; it must be one from 200 to 999", status)
	case size > maxHeader:
		return wrongAnswer(capability.CodeTooLarge, "the guest answered headers of %d bytes; the limit is %d", size, maxHeader)
	}
	a.status = int(cmp.Or(status, http.StatusOK))
	return a.check(method)
}

// read takes an http.Response apart, as (*httppb.Response).UnmarshalProto does,
// and tells how large its headers are. It takes down headers up to the limit
// only.
func (a *answer) read(b []byte, maxHeader int) (status uint32, size int, err error) {
	a.fields, a.body = a.fields[:0], nil
	for len(b) > 0 {
		number, t, rest, err := wire.ReadTag(b)
		if err != nil {
			return 0, 0, err
		}
		switch {
		case number == 1 && t == wire.Varint:
			var v uint64
			v, b, err = wire.ReadVarint(rest)
			status = uint32(v)
		case number == 2 && t == wire.Bytes:
			_, b, err = wire.ReadText(rest) // the reason phrase is the standard's
		case number == 3 && t == wire.Bytes:
			var f field
			f.name, f.value, b, err = wire.ReadEntry(rest)
			if size += len(f.name) + len(f.value) + len(": \r\n"); size <= maxHeader {
				a.fields = append(a.fields, f)
			}
		case number == 4 && t == wire.Bytes:
			a.body, b, err = wire.ReadBytes(rest)
		default:
			b, err = wire.Skip(rest, number, t)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return status, size, nil
}

func wrongAnswer(code capability.Code, format string, args ...any) *fault {
	return &fault{
		status: http.StatusInternalServerError,
		err:    &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)},
	}
}

// check checks the headers, and decides which of them are sent and how long the
// body is.
func (a *answer) check(method string) *fault {
	// Those of one name become neighbours.
	slices.SortStableFunc(a.fields, func(f, g field) int {
		return cmp.Or(compareFold(f.name, g.name), bytes.Compare(f.name, g.name))
	})
	a.sent = 0
	var guestLength []byte
	var last *field // of those that are sent
	for i := range a.fields {
		f := &a.fields[i]
		f.is.fate = ours
		if i+1 < len(a.fields) && bytes.Equal(f.name, a.fields[i+1].name) {
			continue // as in a map, the one that comes last counts
		}
		if fault := checkField(f.name, f.value); fault != nil {
			return fault
		}
		switch f.is = lookUp(f.name); f.is.fate {
		case contentLength:
			guestLength, f.is.fate = f.value, ours
		case sent, contentType:
			switch {
			case last == nil || last.is.name != f.is.name:
				last = f
				a.sent++
			case !bytes.Equal(last.value, f.value):
				return wrongAnswer(capability.CodeGuest, "the guest answered the header %q twice, spelt in two ways, with different values", f.is.name)
			default:
				f.is.fate = ours
			}
		}
	}
	a.setLength(method, string(guestLength))
	return nil
}

// setLength decides on the body and its length, as RFC 9110, 6.4.1 and 8.6 have
// it. The guest's own word on the length counts for HEAD alone, where the body
// that it speaks of is not there to be measured.
func (a *answer) setLength(method, guestLength string) {
	switch a.status {
	case http.StatusNoContent, http.StatusNotModified:
		a.body, a.length = nil, -1
		return
	case http.StatusResetContent:
		a.body = nil
	}
	a.length = int64(len(a.body))
	if method == http.MethodHead && len(a.body) == 0 && a.status != http.StatusResetContent {
		n, err := strconv.ParseInt(guestLength, 10, 64)
		if err != nil {
			n = -1
		}
		a.length = n
	}
}

// writeHeader puts the headers into header. The values of what the guest answered
// share one piece of memory: they must outlive the payload.
func (a *answer) writeHeader(header http.Header) {
	a.text = a.text[:0]
	for _, f := range a.fields {
		if f.is.fate == sent || f.is.fate == contentType {
			a.text = append(a.text, f.value...)
		}
	}
	if a.length >= 0 {
		a.text = strconv.AppendInt(a.text, a.length, 10)
	}
	text, values := string(a.text), make([]string, a.sent+1)
	for _, f := range a.fields {
		switch n := len(f.value); f.is.fate {
		case cookies:
			for cookie := range strings.SplitSeq(string(f.value), "\n") {
				if cookie = strings.TrimSpace(cookie); cookie != "" {
					header.Add("Set-Cookie", cookie)
				}
			}
		case contentType, sent:
			if n == 0 && f.is.fate == contentType {
				header[f.is.name] = nil // keeps the server from detecting one
				continue
			}
			values[0], text = text[:n], text[n:]
			header[f.is.name], values = values[:1:1], values[1:]
		}
	}
	if a.length >= 0 {
		values[0] = text
		header["Content-Length"] = values[:1:1]
	}
}

// addFields adds the headers to an answer of our own server.
func (a *answer) addFields(w http1.ResponseWriter) {
	for _, f := range a.fields {
		switch f.is.fate {
		case cookies:
			for cookie := range bytes.SplitSeq(f.value, []byte("\n")) {
				w.AddField("Set-Cookie", bytes.TrimSpace(cookie))
			}
		case contentType:
			if a.status == http.StatusNotModified {
				continue // RFC 9110, 15.4.5; net/http does so too
			}
			w.AddField(f.is.name, f.value)
		case sent:
			w.AddField(f.is.name, f.value)
		}
	}
	if a.length >= 0 {
		var digits [20]byte
		w.AddField("Content-Length", strconv.AppendInt(digits[:0], a.length, 10))
	}
}

// checkField refuses what would not be a header field in RFC 9110, 5.1 and 5.5.
func checkField(name, value []byte) *fault {
	valid := len(name) > 0
	for _, c := range name {
		valid = valid && httpfield.Token[c]
	}
	if !valid {
		return wrongAnswer(capability.CodeGuest, "the guest answered a header with the name %q, which HTTP does not allow", name)
	}
	for _, c := range value {
		if c >= ' ' && c != 0x7f || c == '\t' || c == '\n' && lookUp(name).fate == cookies {
			continue
		}
		return wrongAnswer(capability.CodeGuest, "the guest answered the header %q with the character %q in its value, which HTTP does not allow", name, c)
	}
	return nil
}
