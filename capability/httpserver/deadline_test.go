package httpserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// own is what a deadline has set of its connection's own.
type own struct {
	mu sync.Mutex
	at time.Time
}

func (o *own) set(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = t
	return nil
}

func (o *own) ended() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.at.IsZero()
}

func TestDeadline(t *testing.T) {
	in := func(d time.Duration) time.Time { return epoch.Add(d) }
	move := func(at time.Time) func(*deadline) {
		return func(d *deadline) {
			if err := d.move(at); err != nil {
				t.Error(err)
			}
		}
	}
	look := func(at time.Duration) func(*deadline) { return func(d *deadline) { d.look(int64(at)) } }
	for _, test := range []struct {
		name  string
		steps []func(*deadline)
		ended bool
	}{
		{"none", []func(*deadline){look(time.Hour)}, false},
		{"not over yet", []func(*deadline){move(in(time.Second)), look(time.Second - 1)}, false},
		{"over", []func(*deadline){move(in(time.Second)), look(time.Second)}, true},
		{"put off", []func(*deadline){move(in(time.Second)), move(in(time.Minute)), look(time.Second)}, false},
		{"taken away", []func(*deadline){move(in(time.Second)), move(time.Time{}), look(time.Hour)}, false},
		{"put off when it was over", []func(*deadline){move(in(time.Second)), look(time.Second), move(in(time.Minute)), look(time.Second)}, false},
		{"over again", []func(*deadline){move(in(time.Second)), look(time.Second), move(in(time.Minute)), look(time.Minute)}, true},
		{"taken away when it was over", []func(*deadline){move(in(time.Second)), look(time.Second), move(time.Time{}), look(time.Hour)}, false},
		{"long ago", []func(*deadline){move(time.Unix(1, 0))}, true},
		{"long ago, then none", []func(*deadline){move(time.Unix(1, 0)), move(time.Time{}), look(time.Hour)}, false},
		{"long ago, though it was put off", []func(*deadline){move(in(time.Minute)), move(time.Unix(1, 0)), look(time.Second)}, true},
	} {
		var o own
		d := deadline{set: o.set}
		if !d.enter() {
			t.Fatalf("%s: it is over at the beginning", test.name)
		}
		for _, step := range test.steps {
			step(&d)
		}
		if o.ended() != test.ended {
			t.Errorf("%s: ended %t, want %t", test.name, o.ended(), test.ended)
		}
	}
}

// TestDeadlineOfNothing is about a deadline that is over while nobody waits.
func TestDeadlineOfNothing(t *testing.T) {
	var o own
	d := deadline{set: o.set}
	move := func(at time.Time) {
		t.Helper()
		if err := d.move(at); err != nil {
			t.Fatal(err)
		}
	}
	for name, end := range map[string]func(){
		"over":     func() { move(epoch.Add(time.Second)); d.look(int64(time.Minute)) },
		"long ago": func() { move(longAgo) },
	} {
		move(time.Time{})
		end()
		if d.enter() || o.ended() {
			t.Errorf("%s: somebody may wait, or the connection's own was set", name)
		}
		move(epoch.Add(time.Hour))
		if !d.enter() || o.ended() {
			t.Errorf("%s: nobody may wait after it was put off", name)
		}
		d.leave()
	}
}

// TestDeadlineEndsWhoComes has one goroutine wait for a connection at the moment
// in which another one ends that, again and again: it never waits for ever.
func TestDeadlineEndsWhoComes(t *testing.T) {
	ended := make(chan struct{}, 1)
	d := deadline{set: func(at time.Time) error {
		if at.IsZero() {
			select {
			case <-ended:
			default:
			}
		} else {
			ended <- struct{}{}
		}
		return nil
	}}
	begin, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for range begin {
			if d.enter() {
				select {
				case <-ended:
				case <-time.After(patience):
					t.Error("waits on, though its time is over")
				}
				d.leave()
			}
			done <- struct{}{}
		}
	}()
	for range 20_000 {
		begin <- struct{}{}
		if err := d.move(longAgo); err != nil {
			t.Fatal(err)
		}
		<-done
		if err := d.move(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	close(begin)
	<-done
}

// TestDeadlineIsNotMetAfterItWasMoved has one goroutine look at a deadline that
// another one takes away in the last moment, again and again.
func TestDeadlineIsNotMetAfterItWasMoved(t *testing.T) {
	var o own
	d := deadline{set: o.set}
	if !d.enter() {
		t.Fatal("it is over at the beginning")
	}
	over := epoch.Add(time.Second)
	begin, looked := make(chan struct{}), make(chan struct{})
	go func() {
		for range begin {
			d.look(int64(time.Minute))
			looked <- struct{}{}
		}
		close(looked)
	}()
	met := 0
	for range 20_000 {
		if err := d.move(over); err != nil {
			t.Fatal(err)
		}
		begin <- struct{}{}
		if err := d.move(time.Time{}); err != nil {
			t.Fatal(err)
		}
		<-looked
		if o.ended() {
			met++
		}
	}
	close(begin)
	<-looked
	if met > 0 {
		t.Errorf("%d deadlines were met after they had been taken away", met)
	}
}

// TestWatch waits for deadlines of real connections.
func TestWatch(t *testing.T) {
	w := newWatch(20*minLook, time.Hour)
	if w.every != minLook {
		t.Errorf("it looks every %v, want %v", w.every, minLook)
	}
	defer w.stop()
	client, inner := net.Pipe()
	defer client.Close()
	c := w.add(t.Context(), inner)
	timedOut := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want a time-out", what, err)
		}
	}
	if err := c.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	timedOut("read", err)
	_, err = c.Write([]byte("x"))
	timedOut("write", err)

	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go client.Write([]byte("x")) //nolint:errcheck // what arrives is looked at
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after it was taken away: read %d bytes, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.conns) > 0 {
		t.Error("a connection that was closed is under watch")
	}
}

func TestWatchStops(t *testing.T) {
	w := newWatch(time.Hour)
	client, inner := net.Pipe()
	defer client.Close()
	w.add(t.Context(), inner)
	w.stop()
	w.look() // the timer may have fired just before
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		t.Error("it goes on")
	}
}

// TestCloseWrite: net/http closes the sending half first, where it can, so that
// a client reads an answer that it did not wait for.
func TestCloseWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w := newWatch(time.Hour)
	defer w.stop()
	inner, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := w.add(t.Context(), inner)
	defer c.Close()
	var half interface{ CloseWrite() error } = c
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client read %d bytes, %v, want the end", n, err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the server read %d bytes, %v: the other half is closed", n, err)
	}
}

// A connection that has ended holds nothing in its server's context, which lives
// as long as the server does.
func TestClosedConnectionEndsItsContext(t *testing.T) {
	w := newWatch(time.Hour)
	defer w.stop()
	client, inner := net.Pipe()
	defer client.Close()
	c := w.add(t.Context(), inner)
	if c.ctx.Err() != nil {
		t.Fatal("it has ended at the beginning")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c.ctx.Err() == nil {
		t.Error("it goes on")
	}
}

// A deadline that was moved away is not met, though the one before it is over just
// now.
func TestMovedDeadlineIsNotMet(t *testing.T) {
	t.Parallel()
	d := deadline{set: func(time.Time) error { return nil }}
	var stop atomic.Bool
	var looks sync.WaitGroup
	looks.Go(func() {
		for !stop.Load() {
			d.look(int64(time.Since(epoch)))
		}
	})
	for range 200_000 {
		d.at.Store(1)
		if err := d.move(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if !d.enter() {
			t.Error("it was met")
			break
		}
		d.leave()
	}
	stop.Store(true)
	looks.Wait()
}
