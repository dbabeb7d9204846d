package httpserver

import (
	"net/http"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability/internal/httpfield"
)

// What becomes of a header of a guest's response.
type fate uint8

const (
	sent          fate = iota // as it is
	ours                      // not at all: it is the server's affair
	contentType               // as it is, but not where it is empty
	contentLength             // it is looked at
	cookies                   // one a line
)

// knownHeader is a header whose canonical name need not be made.
type knownHeader struct {
	name string
	fate fate
}

// knownHeaders are those by their canonical and their lower-case names.
var knownHeaders = sync.OnceValue(func() map[string]knownHeader {
	known := make(map[string]knownHeader)
	add := func(name string, f fate) {
		known[name] = knownHeader{name, f}
		known[strings.ToLower(name)] = knownHeader{name, f}
	}
	for _, name := range []string{
		"Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age", "Age", "Allow",
		"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Range", "Content-Security-Policy", "Etag", "Expires", "Last-Modified", "Link", "Location", "Pragma",
		"Referrer-Policy", "Retry-After", "Server", "Strict-Transport-Security", "Vary", "Www-Authenticate",
		"X-Content-Type-Options", "X-Frame-Options", "X-Request-Id",
	} {
		add(name, sent)
	}
	for name := range httpfield.Connection {
		add(name, ours)
	}
	add("Date", ours)
	add(BuildHeader, ours)
	add("Content-Type", contentType)
	add("Content-Length", contentLength)
	add("Set-Cookie", cookies)
	return known
})

// lookUp finds the canonical name of a header, which must be a token, and what
// becomes of it.
func lookUp(name []byte) knownHeader {
	known := knownHeaders()
	if h, ok := known[string(name)]; ok {
		return h
	}
	canonical := http.CanonicalHeaderKey(string(name))
	if h, ok := known[canonical]; ok {
		return h
	}
	return knownHeader{name: canonical}
}

// compareFold orders names so that those that differ in case alone are
// neighbours.
func compareFold(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if d := int(lower(a[i])) - int(lower(b[i])); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
