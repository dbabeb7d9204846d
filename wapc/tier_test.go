package wapc_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// TestInterpretFirst: calls go over to machine code without one of them noticing.
func TestInterpretFirst(t *testing.T) {
	e := engine(t, &wapc.EngineOptions{InterpretFirst: true})
	module := guest(t, "echo")
	m, err := e.Compile(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	clear(module) // it is the caller's
	p, err := m.NewPool(&wapc.PoolOptions{MaxInstances: 3})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		payload := bytes.Repeat([]byte{byte('a' + i)}, 1000)
		wg.Go(func() {
			for {
				if out, err := p.Call(context.Background(), "echo", payload); err != nil || !bytes.Equal(out, payload) {
					t.Errorf("got %.10q, %v", out, err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	if err := m.Compiled(t.Context()); err != nil {
		t.Error(err)
	}
	if s := m.CompileStats(); m.Tier() != wapc.TierCompiled || s.Interpret == 0 || s.Compile == 0 || s.Cached {
		t.Errorf("it is %v, %+v", m.Tier(), s)
	}
	for range 10 {
		if got := ask(p, "echo", []byte("x")); got.Response != "x" {
			t.Errorf("got %+v", got)
		}
	}
	close(stop)
	wg.Wait()
}

// TestBothTiersHaveTheSameLimits: deadlines and memory are watched by both.
func TestBothTiersHaveTheSameLimits(t *testing.T) {
	for _, opts := range []*wapc.EngineOptions{nil, {Interpreter: true}} {
		p, err := compile(t, engine(t, opts), "puppet8").NewPool(&wapc.PoolOptions{CallTimeout: 30 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Call(t.Context(), "op", (&script{}).do(spin).bytes())
		as[*wapc.DeadlineError](t, err)
		_, err = p.Call(t.Context(), "op", (&script{}).do(grow, 10000, scratch).do(crash).bytes())
		as[*wapc.MemoryError](t, err)
	}
}

// TestClosedWhileItCompiles: closing ends what goes on in the background.
func TestClosedWhileItCompiles(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		e, err := wapc.NewEngine(&wapc.EngineOptions{InterpretFirst: true, CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		m := compile(t, e, "puppet8")
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := m.Compiled(t.Context()); err != nil && !errors.Is(err, wapc.ErrClosed) {
			t.Error(err)
		}
		if _, err := m.NewPool(nil); err != wapc.ErrClosed {
			t.Errorf("the pool's error is %v", err)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, f := range filesIn(dir) {
			if strings.Contains(f, ".tmp") {
				t.Errorf("%s was left behind", f)
			}
		}
		if _, err := e.Compile(t.Context(), guest(t, "echo")); err != wapc.ErrClosed {
			t.Errorf("the error is %v", err)
		}
	}
}
