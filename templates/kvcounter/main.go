// A guest that counts: POST / adds one, GET / tells how many there are.
package main

import (
	"strconv"

	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

// key is where the count is kept, so that it outlives this instance.
const key = "count"

// The host initialises a guest and then calls its handlers; main never runs.
func init() {
	var r http.Router
	r.Handle("GET /", show)
	r.Handle("POST /", add)
	http.Handle(r.Serve)
}

func main() {}

func show(*http.Request) (*http.Response, error) {
	count, ok, err := kv.Get(key)
	if err != nil {
		return nil, err
	}
	if !ok {
		count = "0"
	}
	return answer(count), nil
}

func add(*http.Request) (*http.Response, error) {
	count, err := kv.Add(key, 1)
	if err != nil {
		return nil, err
	}
	return answer(strconv.Itoa(int(count))), nil
}

func answer(count string) *http.Response {
	return http.JSON(200, []byte(`{"count":`+count+"}\n"))
}
