package guest_test

import (
	"bytes"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// TestMemoryStaysSmall has one instance echo large bodies for long. What they need
// is there after the first ones, and used again by all that follow.
func TestMemoryStaysSmall(t *testing.T) {
	g, _ := probe(t)
	req := &httppb.Request{Method: "POST", Path: "/echo", Body: make([]byte, 256<<10), Header: map[string]string{"Accept": "*/*"}}
	first, sizes := 0, [3]int{64, 4 << 10, 256 << 10}
	for i := range 5_000 {
		body := req.Body[:sizes[i%len(sizes)]]
		for j := range min(len(body), 64) {
			body[j] = byte(i + j)
		}
		req.Header["X-Call"] = string(rune('a' + i%26))
		resp, err := do(t, g, &httppb.Request{Method: req.Method, Path: req.Path, Header: req.Header, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(resp.Body, body) || resp.Header["X-Call"] != req.Header["X-Call"] {
			t.Fatalf("call %d: the echo differs", i)
		}
		if i == 500 {
			first = g.MemorySize()
		}
	}
	const most = 8 << 20
	if last := g.MemorySize(); last > most || last > first+2<<20 {
		t.Errorf("the memory has %d KiB after 500 calls and %d KiB after 5,000, want at most %d", first>>10, last>>10, most>>10)
	} else {
		t.Logf("%d KiB after 500 calls, %d KiB after 5,000", first>>10, last>>10)
	}
}
