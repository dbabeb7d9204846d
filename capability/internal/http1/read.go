package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/waxosuit/waxo/capability/internal/httpfield"
)

// source is what requests are read from.
type source struct {
	conn   net.Conn
	inHead bool
	remain int    // bytes that may still be read, in a head
	head   []byte // what was read of it, and perhaps more
	err    error  // of the connection, in a head
}

// begin begins a head, of which something is in buf already.
func (s *source) begin(buf *bufio.Reader, limit int) {
	b, _ := buf.Peek(buf.Buffered()) // they are there
	s.head = append(s.head[:0], b...)
	s.inHead, s.remain, s.err = true, limit, nil
}

func (s *source) Read(b []byte) (int, error) {
	if !s.inHead {
		return s.conn.Read(b)
	}
	if s.remain <= 0 {
		return 0, io.EOF
	}
	n, err := s.conn.Read(b[:min(len(b), s.remain)])
	s.remain -= n
	s.head = append(s.head, b[:n]...)
	s.err = err
	return n, err
}

// refusal is why something is no request that a server may act on.
type refusal struct {
	status int
	why    string
}

func (f *refusal) Error() string { return http.StatusText(f.status) + ": " + f.why }

func bad(why string) *refusal { return &refusal{http.StatusBadRequest, why} }

// read reads a request up to its body. It fails where there is nobody to hear of
// a refusal.
func (r *requests) read() (*http.Request, *refusal, error) {
	r.in.begin(r.buf, r.server.MaxHeader)
	request, err := http.ReadRequest(r.buf)
	r.in.inHead = false
	if err == nil {
		return request, check(request, r.in.head), nil
	}
	var timeout net.Error
	switch {
	case r.in.remain <= 0:
		return nil, &refusal{http.StatusRequestHeaderFieldsTooLarge, "the headers are larger than this server takes"}, nil
	case len(r.in.head) == 0:
		return nil, nil, err
	case errors.As(r.in.err, &timeout) && timeout.Timeout():
		return nil, &refusal{http.StatusRequestTimeout, "the headers took too long to arrive"}, nil
	case r.in.err != nil && r.in.err != io.EOF:
		return nil, nil, r.in.err
	case isUnsupported(err):
		return nil, &refusal{http.StatusNotImplemented, "the only transfer coding that this server knows is chunked"}, nil
	}
	return nil, bad("this is no HTTP request"), nil
}

// isUnsupported tells whether http.ReadRequest refused a transfer coding. There
// is no other way to know it.
func isUnsupported(err error) bool {
	return strings.HasPrefix(err.Error(), "unsupported transfer encoding") || strings.HasPrefix(err.Error(), "too many transfer encodings")
}

// check refuses what http.ReadRequest lets pass, and net/http's server does not.
func check(r *http.Request, head []byte) *refusal {
	if r.ProtoMajor != 1 {
		return &refusal{http.StatusHTTPVersionNotSupported, "this server speaks HTTP/1.1 and, from the first byte on, HTTP/2"}
	}
	host, ok := r.Host, r.Host != ""
	if !ok || r.URL.Host != "" {
		host, ok = hostOf(head) // http.ReadRequest does not say
	}
	switch {
	case !ok && r.ProtoAtLeast(1, 1) && r.Method != http.MethodConnect:
		return bad("the header Host is missing")
	case !only(&hostBytes, host):
		return bad("the header Host names no host")
	}
	for name, values := range r.Header {
		if name == "" || !only(&httpfield.Token, name) {
			return bad("a header's name is no token")
		}
		for _, v := range values {
			if !only(&valueBytes, v) {
				return bad("a header's value holds a control character")
			}
		}
	}
	return nil
}

// hostOf finds the header Host in a request's head.
func hostOf(head []byte) (host string, ok bool) {
	_, fields, _ := bytes.Cut(head, []byte("\n"))
	for line := range bytes.Lines(fields) {
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case ok && (line[0] == ' ' || line[0] == '\t'): // it goes on, as no host does
			host = strings.TrimLeft(host+" "+string(bytes.TrimSpace(line)), " \t")
		case ok, len(bytes.TrimRight(line, "\r\n")) == 0:
			return host, ok
		case strings.EqualFold(string(name), "Host"):
			host, ok = string(bytes.TrimSpace(value)), true
		}
	}
	return host, ok
}

// only tells whether a string has bytes of a table alone.
func only(table *[256]bool, s string) bool {
	for i := range len(s) {
		if !table[s[i]] {
			return false
		}
	}
	return true
}

// hostBytes has what may stand in Host (RFC 3986, 3.2.2): unreserved characters,
// sub-delims, brackets, colons and percent signs.
var hostBytes = func() (table [256]bool) {
	for c := range 128 {
		b := byte(c)
		table[c] = 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("!$%&'()*+,-.:;=[]_~", b) >= 0
	}
	return table
}()

// valueBytes has what may stand in a header's value (RFC 9110, 5.5).
var valueBytes = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != 0x7f || c == '\t'
	}
	return table
}()

// listed tells whether a list of tokens has this one.
func listed(list, token string) bool {
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if strings.EqualFold(item, token) {
			return true
		}
	}
	return false
}
