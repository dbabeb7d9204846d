package httpserver

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// answer is a guest's response that has been checked.
type answer struct {
	status int
	header http.Header
	body   []byte // may be set for HEAD, which does not send it
}

// decodeAnswer checks what a guest answered to a request with this method. The
// answer's body aliases the payload.
func decodeAnswer(payload []byte, method string, maxBody int64, maxHeader int) (*answer, *fault) {
	var r httppb.Response
	if err := r.UnmarshalProto(payload); err != nil {
		return nil, wrongAnswer(capability.CodeGuest, "what the guest answered is no http.Response: %v", err)
	}
	if int64(len(r.Body)) > maxBody {
		return nil, wrongAnswer(capability.CodeTooLarge, "the guest answered a body of %d bytes; the limit is %d", len(r.Body), maxBody)
	}
	a := &answer{status: int(r.StatusCode), body: r.Body}
	switch {
	case r.StatusCode == 0:
		a.status = http.StatusOK
	case r.StatusCode < 200 || r.StatusCode > 999:
		return nil, wrongAnswer(capability.CodeGuest, "the guest answered status %d; it must be one from 200 to 999", r.StatusCode)
	}
	length, f := a.setHeader(r.Header, maxHeader)
	if f != nil {
		return nil, f
	}
	a.setLength(method, length)
	return a, nil
}

func wrongAnswer(code capability.Code, format string, args ...any) *fault {
	return &fault{
		status: http.StatusInternalServerError,
		err:    &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)},
	}
}

// setHeader checks and takes over the guest's headers, and returns the
// Content-Length among them, which stays out.
func (a *answer) setHeader(header map[string]string, limit int) (length string, f *fault) {
	a.header = make(http.Header, len(header)+2)
	values := make([]string, len(header)) // one allocation for all
	var cookies []string
	size := 0
	for name, value := range header {
		if f := checkField(name, value); f != nil {
			return "", f
		}
		size += len(name) + len(value) + len(": \r\n")
		canonical := http.CanonicalHeaderKey(name)
		switch old := a.header[canonical]; {
		case canonical == "Set-Cookie":
			cookies = append(cookies, name)
		case canonical == "Content-Length":
			length = value
		case connectionHeaders[canonical], canonical == "Date", canonical == BuildHeader:
		case canonical == "Content-Type" && value == "":
			a.header[canonical] = nil // keeps net/http from detecting one
		case old != nil && old[0] != value:
			return "", wrongAnswer(capability.CodeGuest, "the guest answered the header %q twice, spelt in two ways, with different values", canonical)
		default:
			values[0] = value
			a.header[canonical], values = values[:1:1], values[1:]
		}
	}
	if size > limit {
		return "", wrongAnswer(capability.CodeTooLarge, "the guest answered headers of %d bytes; the limit is %d", size, limit)
	}
	slices.Sort(cookies)
	for _, name := range cookies {
		for cookie := range strings.SplitSeq(header[name], "\n") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				a.header.Add("Set-Cookie", cookie)
			}
		}
	}
	return length, nil
}

// setLength decides on the body and its length, as RFC 9110, 6.4.1 and 8.6 have
// it. The guest's own word on the length counts for HEAD alone, where the body
// that it speaks of is not there to be measured.
func (a *answer) setLength(method, guestLength string) {
	switch a.status {
	case http.StatusNoContent, http.StatusNotModified:
		a.body = nil
		return
	case http.StatusResetContent:
		a.body = nil
	}
	length := strconv.Itoa(len(a.body))
	if method == http.MethodHead && len(a.body) == 0 && a.status != http.StatusResetContent {
		n, err := strconv.ParseInt(guestLength, 10, 64)
		if err != nil || n < 0 {
			return
		}
		length = strconv.FormatInt(n, 10)
	}
	a.header["Content-Length"] = []string{length}
}

// checkField refuses what would not be a header field in RFC 9110, 5.1 and 5.5.
func checkField(name, value string) *fault {
	if name == "" || strings.IndexFunc(name, notToken) >= 0 {
		return wrongAnswer(capability.CodeGuest, "the guest answered a header with the name %q, which HTTP does not allow", name)
	}
	for i := range len(value) {
		c := value[i]
		if c == '\n' && strings.EqualFold(name, "Set-Cookie") {
			continue
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return wrongAnswer(capability.CodeGuest, "the guest answered the header %q with the character %q in its value, which HTTP does not allow", name, c)
		}
	}
	return nil
}

// notToken tells the characters that RFC 9110, 5.6.2 keeps out of a token.
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
