// A guest with the SDK, to measure: an echo by HTTP and by an operation of its
// own, a router, and host calls.
package main

import (
	"errors"
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

func init() {
	var r http.Router
	for _, pattern := range []string{
		"GET /", "GET /items", "POST /items", "PUT /items/{id}", "DELETE /items/{id}",
		"GET /items/{id}/parts", "GET /items/{id}/parts/{part}", "GET /files/{path...}", "GET /about",
	} {
		r.Handle(pattern, func(*http.Request) (*http.Response, error) { return http.NotFound(), nil })
	}
	r.Handle("GET /items/{id}", func(r *http.Request) (*http.Response, error) { return http.Text(200, r.PathValue("id")), nil })
	http.Handle(func(req *http.Request) (*http.Response, error) {
		if req.Path == "/echo" {
			return &http.Response{Body: req.Body}, nil
		}
		return r.Serve(req)
	})
	waxo.Handle("bench:x!Echo", func(payload []byte) ([]byte, error) { return payload, nil })
	waxo.Handle("bench:x!Get", get)
	waxo.Handle("bench:x!Add", add)
	waxo.Handle("bench:x!Fetch", fetch)
}

func main() {}

var out []byte

func get([]byte) ([]byte, error) {
	value, ok, err := kv.Get("count")
	if err != nil || !ok {
		return nil, errors.Join(err, errors.New("there is no count"))
	}
	out = append(out[:0], value...)
	return out, nil
}

func add([]byte) ([]byte, error) {
	sum, err := kv.Add("count", 1)
	out = strconv.AppendInt(out[:0], int64(sum), 10)
	return out, err
}

func fetch(url []byte) ([]byte, error) {
	resp, err := http.Get(string(url))
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
