package http1

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// FuzzAsNetHTTP has this package's server and net/http's read the same bytes: the
// same requests must reach the handlers, and what is refused must be refused by
// both. Whatever a proxy in front holds for one request, this server does so too
// where net/http does.
func FuzzAsNetHTTP(f *testing.F) {
	for _, c := range conversations {
		if len(c.text) < 1000 {
			f.Add(strings.ReplaceAll(c.text, "\n", "\r\n"))
		}
	}
	for _, text := range refused {
		f.Add(strings.ReplaceAll(text.request, "\n", "\r\n"))
	}
	for _, text := range []string{
		"GET http://a/b HTTP/1.1\r\nhost: h\r\n folded\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n1;x=y\r\na\r\n0\r\nX-T: 1\r\n\r\nGET / HTTP/1.1\nHost:\n\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na\r\nGET / HTTP/1.1\r\nHost: [::1%25a]:80\r\n\r\n",
		"CONNECT h:1 HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add(text)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Handled", "yes")
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q %s %q %q %d %v %t %q %t", r.Method, r.RequestURI, r.Proto, r.Host, r.Header, r.ContentLength, r.TransferEncoding, r.Close, body, err != nil)
	})
	ours, theirs := open(f, handler, nil).addr, netHTTP(f, handler)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 800 || strings.Contains(text, "PRI ") {
			return // their limits and buffers differ, and net/http leaves HTTP/2.0 to its handlers
		}
		if strings.Count(strings.ToLower(text), "keep-alive") != len(kept.FindAllString(text, -1)) {
			return // net/http takes it for an option without commas, too
		}
		methods := methodsOf(text)
		got, want := answers(exchange(t, ours, text), methods...), answers(exchange(t, theirs, text), methods...)
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

var kept = regexp.MustCompile(`(?i)\nconnection: keep-alive\r?\n[^ \t]`)

// methodsOf guesses the methods of the requests in a text, of which HEAD matters.
func methodsOf(text string) (methods []string) {
	for line := range strings.Lines(text) {
		if method, rest, ok := strings.Cut(line, " "); ok && strings.Contains(rest, " HTTP/1.") {
			methods = append(methods, method)
		}
	}
	return methods
}
