package wapc_test

import (
	"context"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/wapc"
)

func TestResponseIsACopy(t *testing.T) {
	p := pool(t, "echo", nil)
	first, err := p.Call(t.Context(), "echo", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Call(t.Context(), "echo", []byte("xxxxx")); err != nil {
		t.Fatal(err)
	}
	if string(first) != "first" {
		t.Fatalf("a later call changed an earlier response to %q", first)
	}
}

func TestCallAppend(t *testing.T) {
	p := pool(t, "puppet8", &wapc.PoolOptions{MaxResponse: 4000})
	responds := func(text string, code uint32) []byte {
		s := &script{}
		return s.do(response, s.text(text)...).do(end, code).bytes()
	}
	buf := append(make([]byte, 0, 64), "kept"...)
	out, err := p.CallAppend(t.Context(), buf, "op", responds("+new", 1))
	if err != nil || string(out) != "kept+new" || &out[0] != &buf[0] {
		t.Fatalf("got %q, %v", out, err)
	}
	out, err = p.CallAppend(t.Context(), buf[:4:4], "op", responds("+other", 1))
	if err != nil || string(out) != "kept+other" || &out[0] == &buf[0] || string(buf[:8]) != "kept+new" {
		t.Fatalf("without room: got %q, %v", out, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() ([]byte, error){
		"guest error": func() ([]byte, error) { return p.CallAppend(t.Context(), buf, "op", responds("x", 0)) },
		"trap":        func() ([]byte, error) { return p.CallAppend(t.Context(), buf, "op", responds("x", 7)) },
		"too large": func() ([]byte, error) {
			return p.CallAppend(t.Context(), buf, "op", (&script{}).do(response, 0, 4001).do(end, 1).bytes())
		},
		"operation": func() ([]byte, error) { return p.CallAppend(t.Context(), buf, "\xff", nil) },
		"request":   func() ([]byte, error) { return p.CallAppend(t.Context(), buf, "op", make([]byte, 34<<20)) },
		"caller":    func() ([]byte, error) { return p.CallAppend(ended, buf, "op", nil) },
	} {
		if out, err := call(); err == nil || string(out) != "kept" || &out[0] != &buf[0] {
			t.Errorf("%s: got %q, %v", name, out, err)
		}
	}
}

func TestOfSeveralResponsesTheLastCounts(t *testing.T) {
	p := pool(t, "puppet8", &wapc.PoolOptions{MaxResponse: 200})
	respond := func(texts ...string) []byte {
		s := &script{}
		for _, text := range texts {
			s.do(response, s.text(text)...)
		}
		return s.do(end, 1).bytes()
	}
	long := strings.Repeat("l", 200)
	for _, texts := range [][]string{{"one", "two"}, {"", "a"}, {"a", ""}, {"a", long}, {long, "a"}, {long + "l", "a"}, {"one", "two", "3"}} {
		for _, dst := range []string{"", "kept", "kept" + long} {
			out, err := p.CallAppend(t.Context(), []byte(dst), "op", respond(texts...))
			if want := dst + texts[len(texts)-1]; err != nil || string(out) != want {
				t.Errorf("%.10q: got %q, %v; want %q", texts, out, err, want)
			}
		}
	}
	_, err := p.Call(t.Context(), "op", respond("a", long+"l"))
	as[*wapc.SizeError](t, err)
	if out, err := p.Call(t.Context(), "op", respond()); err != nil || len(out) != 0 {
		t.Errorf("a response came over from the call before: %q, %v", out, err)
	}
}
