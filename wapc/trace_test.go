package wapc_test

import (
	"slices"
	"testing"

	"github.com/waxosuit/waxo/wapc"
)

// TestTrace sees every host function that a guest calls, those too that are
// answered inside the guest otherwise.
func TestTrace(t *testing.T) {
	calls := func() []byte {
		return called("b", "n", "op", "payload").do(hostResponseLen).do(hostResponse, scratch).
			do(hostErrorLen).do(hostError, scratch).do(response).do(end, 1).bytes()
	}
	want := []string{
		"__guest_request", "__host_call", "__host_response_len", "__host_response",
		"__host_error_len", "__host_error", "__guest_response",
	}
	dir := t.TempDir()
	for range 2 { // the second time, the code is in the cache
		for _, opts := range []*wapc.EngineOptions{
			{CacheDir: dir},
			{CacheDir: dir, Traced: true},
			{Interpreter: true, Traced: true},
		} {
			var got []string
			e := engine(t, opts)
			p, err := compile(t, e, "puppet8").NewPool(&wapc.PoolOptions{
				Host: &host{}, Trace: func(function string) { got = append(got, function) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Call(t.Context(), "op", calls()); err != nil {
				t.Fatal(err)
			}
			if opts.Traced && !slices.Equal(got, want) || !opts.Traced && got != nil {
				t.Errorf("%+v: the trace is %q", *opts, got)
			}
			if err := e.Close(t.Context()); err != nil { // what it leaves in the cache is there now
				t.Fatal(err)
			}
		}
	}
}
