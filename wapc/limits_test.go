package wapc_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// runtimeGoexit keeps the linter from calling what follows unreachable.
var runtimeGoexit = runtime.Goexit

// short is long enough for a guest to begin and short enough to wait for.
const short = 50 * time.Millisecond

func TestTraps(t *testing.T) {
	tests := []struct {
		name   string
		code   uint32
		reason string
		stack  string
	}{
		{"unreachable", crash, "unreachable", "crash"},
		{"recursion", deep, "stack overflow", ""},
		{"out of bounds", load, "out of bounds memory access", "$"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := run(t, nil, (&script{}).do(tt.code, maxUint32))
			e := as[*wapc.TrapError](t, err)
			if e.Reason != tt.reason || e.Operation != "op" {
				t.Errorf("got %+v", e)
			}
			if tt.stack != "" && (len(e.Stack) == 0 || !strings.HasPrefix(e.Stack[0], tt.stack)) {
				t.Errorf("the stack is %q", e.Stack)
			}
		})
	}
}

func TestTrapNamesFunctions(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		m := compile(t, engine(t, &wapc.EngineOptions{Interpreter: interpreter}), "names")
		p, err := m.NewPool(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Call(t.Context(), "op", nil)
		want := []string{"core::panicking::panic", "main.handle", "$2"}
		if e := as[*wapc.TrapError](t, err); !slices.Equal(e.Stack, want) {
			t.Errorf("the stack is %q, want %q", e.Stack, want)
		}
		contains(t, err.Error(), "unreachable in core::panicking::panic")
	}
}

func TestDeadline(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		m := compile(t, engine(t, &wapc.EngineOptions{Interpreter: interpreter}), "puppet8")
		p, err := m.NewPool(&wapc.PoolOptions{CallTimeout: short, QueueTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s := &script{}
		begin := time.Now()
		_, err = p.Call(t.Context(), "op", s.do(consoleLog, s.text("still here")...).do(spin).bytes())
		// The start has a longer time than the call: its timer must not serve both.
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		e := as[*wapc.DeadlineError](t, err)
		if e.Timeout != short || !slices.Equal(e.Log, []string{"still here"}) || !errors.Is(err, context.DeadlineExceeded) ||
			len(e.Stack) == 0 || e.Stack[0] != "spin" {
			t.Errorf("got %+v", e)
		}
		if s := p.Stats(); s.Instances != 0 || s.Deadlines != 1 || s.Replaced != 1 {
			t.Errorf("stats: %+v", s)
		}
		if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
			t.Errorf("the pool does not serve any more: %v", err)
		}
	}
}

func TestDeadlineInAHostCall(t *testing.T) {
	var deadline time.Time
	h := &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
		deadline, _ = ctx.Deadline()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	begin := time.Now()
	_, err := run(t, &wapc.PoolOptions{Host: h, CallTimeout: short, QueueTimeout: time.Minute}, called("", "n", "Get", "").do(end, 1))
	e := as[*wapc.DeadlineError](t, err)
	if len(e.Stack) == 0 || e.Stack[0] != "wapc.__host_call" {
		t.Errorf("the stack is %q", e.Stack)
	}
	if deadline.Before(begin.Add(short)) || deadline.After(time.Now()) {
		t.Errorf("the host saw the deadline %v, %v after the beginning", deadline, deadline.Sub(begin))
	}
}

// TestDeadlineBelongsToTheCall: the timer that an earlier call left behind must
// not end a later one.
func TestDeadlineBelongsToTheCall(t *testing.T) {
	arrived := make(chan struct{}, 2)
	h := &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}}
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h, CallTimeout: 4 * short})
	if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * short)
	begin := time.Now()
	_, err := p.Call(t.Context(), "op", called("", "n", "Get", "").do(end, 1).bytes())
	as[*wapc.DeadlineError](t, err)
	if took := time.Since(begin); took < 4*short {
		t.Errorf("the call was ended after %v", took)
	}
}

func TestCallerGoesAway(t *testing.T) {
	p := pool(t, "puppet8", nil)
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{}
	time.AfterFunc(short, cancel)
	_, err := p.Call(ctx, "op", s.do(spin).bytes())
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err = p.Call(ctx, "op", s.bytes())
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*wapc.DeadlineError)) {
		t.Fatalf("got %v", err)
	}
	if _, err := p.Call(ctx, "op", (&script{}).do(end, 1).bytes()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a context that has ended: %v", err)
	}
	if s := p.Stats(); s.Replaced != 2 || s.Deadlines != 0 || s.Calls != 2 {
		t.Errorf("stats: %+v", s)
	}
}

// TestNestedDeadline: a guest that is called from another's host call is ended
// by that one's deadline, and this must not look like its own.
func TestNestedDeadline(t *testing.T) {
	inner := pool(t, "puppet8", nil)
	var innerErr error
	h := &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
		var out []byte
		out, innerErr = inner.Call(ctx, "inner", (&script{}).do(spin).bytes())
		return out, innerErr
	}}
	_, err := run(t, &wapc.PoolOptions{Host: h, CallTimeout: short, QueueTimeout: time.Minute}, called("", "n", "Get", "").do(end, 1))
	as[*wapc.DeadlineError](t, err)
	if errors.As(innerErr, new(*wapc.DeadlineError)) || !errors.Is(innerErr, context.DeadlineExceeded) {
		t.Fatalf("the inner call failed with %v", innerErr)
	}
}

func TestMemoryLimit(t *testing.T) {
	const limit = 1 << 20
	p := pool(t, "puppet8", &wapc.PoolOptions{MemoryLimit: limit})
	// Up to the limit, and not a page more; the guest learns of it and goes on.
	s := (&script{}).do(grow, 14, scratch).do(grow, 1, scratch+4).do(response, scratch, 8).do(end, 1)
	out, err := p.Call(t.Context(), "op", s.bytes())
	if err != nil || !slices.Equal(out, []byte{2, 0, 0, 0, 255, 255, 255, 255}) {
		t.Fatalf("got %v, %v", out, err)
	}
	if s := p.Stats(); s.MemoryBytes != limit {
		t.Fatalf("stats: %+v", s)
	}
	// A later trap is none of memory.
	_, err = p.Call(t.Context(), "op", (&script{}).do(crash).bytes())
	as[*wapc.TrapError](t, err)
	s = &script{}
	s.do(consoleLog, s.text("out of memory")...)
	_, err = p.Call(t.Context(), "op", s.do(grow, 1000, scratch).do(crash).bytes())
	if e := as[*wapc.MemoryError](t, err); e.Limit != limit || e.Wanted != 1002<<16 || len(e.Log) != 1 || len(e.Stack) == 0 {
		t.Errorf("got %+v", e)
	}
	if s := p.Stats(); s.MemoryBytes != 0 || s.Traps != 2 {
		t.Errorf("stats: %+v", s)
	}
}

func TestMemoryIsZeroAndKeptWhenItGrows(t *testing.T) {
	s := &script{}
	s.do(fill, answerAt, 7, 65536).do(grow, 1, scratch).do(response, pageEnd-4, 8).do(end, 1)
	out, err := run(t, nil, s)
	if err != nil || !slices.Equal(out, []byte{7, 7, 7, 7, 0, 0, 0, 0}) {
		t.Fatalf("got %v, %v", out, err)
	}
}

func TestModuleNeedsMoreMemory(t *testing.T) {
	_, err := compile(t, engine(t, nil), "echo").NewPool(&wapc.PoolOptions{MemoryLimit: 1 << 20})
	if e := as[*wapc.MemoryError](t, err); e.Wanted != 20<<16 || e.Limit != 1<<20 {
		t.Fatalf("got %+v", e)
	}
	contains(t, err.Error(), "the module needs 1310720 bytes of memory, the limit is 1048576")
}

func TestTables(t *testing.T) {
	if _, err := engine(t, nil).Compile(t.Context(), guest(t, "big_table")); err == nil {
		t.Fatal("a table of a gigabyte was accepted")
	} else {
		contains(t, as[*wapc.FormatError](t, err).Error(), "more than 1048576 elements")
	}
	s := (&script{}).do(growTable, 100, scratch).do(growTable, 1<<30, scratch+4).do(response, scratch, 8).do(end, 1)
	out, err := run(t, nil, s)
	if err != nil || !slices.Equal(out, []byte{2, 0, 0, 0, 255, 255, 255, 255}) {
		t.Fatalf("got %v, %v", out, err)
	}
}

func TestStartFunctions(t *testing.T) {
	h := &host{}
	p := pool(t, "starts", &wapc.PoolOptions{Host: h})
	for range 2 {
		if _, err := p.Call(t.Context(), "op", nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.ReplaceAll(h.logged(), "\n", ""); got != "sciw" { // section, _start, _initialize, wapc_init
		t.Fatalf("they ran as %q", got)
	}
}

func TestStartFails(t *testing.T) {
	opts := &wapc.PoolOptions{StartTimeout: short, MemoryLimit: 1 << 20}
	start := func(t *testing.T, name string) error {
		p := pool(t, name, opts)
		_, err := p.Call(t.Context(), "op", nil)
		e := as[*wapc.StartError](t, err)
		if s := p.Stats(); s.Instances != 0 || s.Traps+s.Deadlines != 1 {
			t.Errorf("stats: %+v", s)
		}
		if warm := p.Warm(t.Context(), 1); warm == nil || warm.Error() != err.Error() {
			t.Errorf("Warm: %v", warm)
		}
		return e.Err
	}
	t.Run("spins", func(t *testing.T) {
		if e := as[*wapc.DeadlineError](t, start(t, "start_spin")); e.Operation != "_initialize" || e.Timeout != short {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("section spins", func(t *testing.T) { as[*wapc.DeadlineError](t, start(t, "section_spin")) })
	t.Run("traps", func(t *testing.T) {
		e := as[*wapc.TrapError](t, start(t, "start_trap"))
		if e.Operation != "wapc_init" || e.Reason != "unreachable" || !slices.Equal(e.Log, []string{"last words"}) || e.Stack[0] != "crash" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("asks for a request", func(t *testing.T) {
		contains(t, as[*wapc.TrapError](t, start(t, "start_request")).Reason, "__guest_request was called while the guest starts")
	})
	t.Run("out of memory", func(t *testing.T) {
		if e := as[*wapc.MemoryError](t, start(t, "start_grow")); e.Operation != "_initialize" || e.Wanted != 2<<20 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestHostCallWhileStarting(t *testing.T) {
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) {
		t.Error("the host was called")
		return nil, nil
	}}
	out, err := pool(t, "start_hostcall", &wapc.PoolOptions{Host: h}).Call(t.Context(), "op", nil)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(out), "not possible while the guest starts")
}
