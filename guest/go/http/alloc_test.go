package http

import (
	"strconv"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// TestAllocations counts what the SDK allocates for a request, natively; in a guest
// it is the same.
func TestAllocations(t *testing.T) {
	static := &Response{}
	static.Header.Set("Content-Type", "text/plain")
	var rt Router
	for _, pattern := range []string{"GET /", "POST /items", "GET /items/{id}", "GET /items/{id}/parts/{part}", "GET /files/{path...}"} {
		rt.Handle(pattern, func(r *Request) (*Response, error) {
			static.Body = []byte(nil)
			if r.PathValue("id") != "42" {
				t.Error("the path has no id")
			}
			return static, nil
		})
	}
	echo := func(r *Request) (*Response, error) {
		static.Body = r.Body
		return static, nil
	}
	header := map[string]string{"Accept": "*/*", "User-Agent": "curl/8.5.0", "Host": "localhost"}
	first := &httppb.Request{Method: "POST", Path: "/echo", Header: header, Body: make([]byte, 4096)}
	otherPath := &httppb.Request{Method: "POST", Path: "/echo2", Header: header, Body: make([]byte, 4096)}
	otherHeader := &httppb.Request{Method: "POST", Path: "/echo", Header: map[string]string{"Accept": "text/plain"}}
	routed := &httppb.Request{Method: "GET", Path: "/items/42", Header: header}
	for _, test := range []struct {
		name     string
		handler  Handler
		requests [2]*httppb.Request // in turns
		most     float64
	}{
		{"the same request", echo, [2]*httppb.Request{first, first}, 0},
		{"another path", echo, [2]*httppb.Request{first, otherPath}, 1},
		{"another header", echo, [2]*httppb.Request{first, otherHeader}, 1},
		{"router", rt.Serve, [2]*httppb.Request{routed, routed}, 0},
		{"a short Text", func(*Request) (*Response, error) { return Text(200, "ok\n"), nil }, [2]*httppb.Request{first, first}, 1},
		{"Text", func(*Request) (*Response, error) { return Text(200, "a text that takes more than a few bytes"), nil }, [2]*httppb.Request{first, first}, 2},
	} {
		var x exchange
		var payloads [2][]byte
		for i := range 2 {
			payloads[i] = test.requests[i].AppendProto(nil)
		}
		message := make([]byte, 8192) // an echo is put together in the request's memory
		turn := 0
		got := testing.AllocsPerRun(100, func() {
			turn = 1 - turn
			n := copy(message, payloads[turn])
			if _, err := x.serve(test.handler, message[:n]); err != nil {
				t.Fatal(err)
			}
		})
		if got > test.most {
			t.Errorf("%s: %v allocations, want %v", test.name, got, test.most)
		}
	}
}

// TestKept looks at what stays in memory from one request to the next.
func TestKept(t *testing.T) {
	many := make(map[string]string)
	for i := range 300 {
		many["X-"+strconv.Itoa(i)] = "x"
	}
	body := []byte{bodyTag, 4, 'b', 'o', 'd', 'y'}
	path := (&httppb.Request{Path: "/path"}).AppendProto(nil)
	for name, test := range map[string]struct {
		payload []byte
		kept    bool
	}{
		"a request":         {append(path, body...), true},
		"a long path":       {(&httppb.Request{Path: strings.Repeat("x", 100_000)}).AppendProto(nil), false},
		"a long header":     {(&httppb.Request{Path: "/", Header: map[string]string{"A": strings.Repeat("x", 100_000)}}).AppendProto(nil), false},
		"many headers":      {(&httppb.Request{Path: "/", Header: many}).AppendProto(nil), false},
		"a path after body": {append(body, path...), false},
	} {
		var x exchange
		if _, err := x.serve(func(*Request) (*Response, error) { return &Response{Body: make([]byte, 2<<20)}, nil }, test.payload); err != nil {
			t.Fatal(err)
		}
		kept := x.kept()
		if (kept != nil) != test.kept {
			t.Errorf("after %s: kept %v, want %v", name, kept != nil, test.kept)
		}
		if kept != nil && (kept.request.Body != nil || cap(kept.out) > 1<<20) {
			t.Errorf("after %s a body of %d bytes is kept, and %d of a response", name, len(kept.request.Body), cap(kept.out))
		}
	}
}
