package keyvalue

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// connected returns a connection of ours, and its other end.
func connected(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := plainly(new(net.Dialer).DialContext)
	dialed, err := dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return dialed.(*conn), server
}

// patient is longer than anything here takes.
const patient = 30 * time.Second

// TestDeadlines counts how often the system's deadline moves, and waits for it.
func TestDeadlines(t *testing.T) {
	c, server := connected(t)
	moves := 0
	set := c.read.set
	c.read.set = func(at time.Time) error {
		moves++
		return set(at)
	}
	move := func(at time.Time) {
		t.Helper()
		if err := c.SetReadDeadline(at); err != nil {
			t.Fatal(err)
		}
	}
	read := func(want error) {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, want) {
			t.Fatalf("read: %v, want %v", err, want)
		}
	}
	begin := time.Now()
	for i := range 100 { // commands, one after the other
		move(time.Time{})
		move(begin.Add(patient + time.Duration(i)*time.Millisecond))
	}
	if moves != 1 {
		t.Errorf("deadlines that were put off moved the system's %d times", moves)
	}

	soon := time.Now().Add(20 * time.Millisecond)
	move(soon)
	read(os.ErrDeadlineExceeded)
	if time.Now().Before(soon) {
		t.Error("the time-out came too early")
	}

	// The system's has passed, the one that is wanted has not, or there is none.
	for _, at := range []time.Time{time.Now().Add(patient), {}} {
		c.read.own = soon
		if err := set(soon); err != nil {
			t.Fatal(err)
		}
		move(at)
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		read(nil)
	}
	move(time.Now().Add(-time.Second))
	read(os.ErrDeadlineExceeded)
}

// TestWriteGoesOn has the system's deadline pass in the middle of a write, while
// a later one is wanted.
func TestWriteGoesOn(t *testing.T) {
	c, server := connected(t)
	if err := c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	passed := make(chan struct{})
	set := c.write.set
	c.write.set = func(at time.Time) error {
		close(passed) // once only: the second time is the later one's
		return set(at)
	}
	if err := c.SetWriteDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20 // more than the system takes
	received := make(chan int64, 1)
	go func() {
		<-passed
		n, _ := io.CopyN(io.Discard, server, size)
		received <- n
	}()
	n, err := c.Write(make([]byte, size))
	if n != size || err != nil {
		t.Errorf("wrote %d bytes, %v, want %d", n, err, size)
	}
	if got := <-received; got != size {
		t.Errorf("%d bytes arrived, want %d", got, size)
	}
}

// TestLook: a connection that was read from just now is not looked at, any other
// one is, whatever its deadline was.
func TestLook(t *testing.T) {
	c, server := connected(t)
	looked := func() (yes bool) {
		t.Helper()
		if err := c.SetDeadline(time.Time{}); err != nil { // as go-redis does
			t.Fatal(err)
		}
		raw, err := c.SyscallConn()
		if err == nil {
			err = raw.Read(func(uintptr) bool {
				yes = true
				return true
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if !looked() {
		t.Error("a new connection is not looked at")
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.answered = now() + time.Hour
	if looked() {
		t.Error("a connection that has just answered is looked at")
	}
	c.answered = now() - trusted
	c.read.own = time.Now().Add(-time.Second)
	if err := c.read.set(c.read.own); err != nil {
		t.Fatal(err)
	}
	if !looked() {
		t.Error("a connection that answered some time ago is not looked at")
	}
}

// TestPlainly leaves connections alone that have a layer of their own; one that does
// not come about fails where it is used.
func TestPlainly(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	if _, ok := net.Conn(client).(syscall.Conn); ok {
		t.Fatal("a pipe is one of the system's")
	}
	dial := plainly(func(context.Context, string, string) (net.Conn, error) { return client, nil })
	if c, err := dial(context.Background(), "", ""); c != client || err != nil {
		t.Errorf("dial = %v, %v", c, err)
	}
	failure := errors.New("no")
	dial = plainly(func(context.Context, string, string) (net.Conn, error) { return nil, failure })
	c, err := dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != failure {
		t.Errorf("write: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err != failure {
		t.Errorf("read: %v", err)
	}
	if _, err := c.(syscall.Conn).SyscallConn(); err != failure {
		t.Errorf("at a look: %v", err)
	}
}
