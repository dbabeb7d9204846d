// The guest of the benchmarks: it does what the native server of package native
// does, and what no server should.
package main

import (
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

func init() {
	var r http.Router
	r.Handle("GET /", func(*http.Request) (*http.Response, error) {
		return http.Text(200, "ok\n"), nil
	})
	r.Handle("POST /echo", func(r *http.Request) (*http.Response, error) {
		return &http.Response{Status: 200, Body: r.Body}, nil
	})
	r.Handle("GET /kv", func(*http.Request) (*http.Response, error) {
		value, _, err := kv.Get("benchmark")
		return http.Text(200, value), err
	})
	r.Handle("POST /spin", func(*http.Request) (*http.Response, error) {
		for {
			turns++
		}
	})
	r.Handle("POST /recurse", func(*http.Request) (*http.Response, error) {
		return http.Text(200, string(rune(calls(40)))), nil
	})
	http.Handle(r.Serve)
}

func main() {}

var turns int

// calls calls itself 2^depth times: without end, as far as any client can tell.
func calls(depth int) int {
	if depth == 0 {
		turns++
		return turns
	}
	return calls(depth-1) + calls(depth-1)
}
