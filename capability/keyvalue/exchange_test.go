//go:build unix

package keyvalue

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// answer reads a command of so many bytes and answers it.
func answer(server net.Conn, size int) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := io.CopyN(io.Discard, server, int64(size))
		if err == nil {
			_, err = io.WriteString(server, "+OK")
		}
		done <- err
	}()
	return done
}

func readOK(t *testing.T, c *conn) {
	t.Helper()
	b := make([]byte, 16)
	n, err := c.Read(b)
	if string(b[:n]) != "+OK" || err != nil {
		t.Fatalf("read %q, %v", b[:n], err)
	}
}

func write(t *testing.T, c *conn, b []byte) {
	t.Helper()
	if n, err := c.Write(b); n != len(b) || err != nil {
		t.Fatalf("wrote %d bytes, %v, want %d", n, err, len(b))
	}
}

// TestExchange sends commands of several sizes, each in several pieces, and
// reads their answers.
func TestExchange(t *testing.T) {
	c, server := connected(t)
	for _, pieces := range [][]int{{10}, {10, 20}, {maxHeld}, {maxHeld, 1}, {maxHeld + 1}, {1, maxHeld + 1, 1}, {100_000}, {10}} {
		size := 0
		for _, n := range pieces {
			size += n
		}
		answered := answer(server, size)
		for _, n := range pieces {
			write(t, c, make([]byte, n))
		}
		if err := c.SetReadDeadline(time.Now().Add(patient)); err != nil {
			t.Fatal(err)
		}
		readOK(t, c)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
}

// TestExchangeWaitsForRoom has the system take no more when a command is sent.
func TestExchangeWaitsForRoom(t *testing.T) {
	c, server := connected(t)
	filled := 0
	if err := c.Conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := c.Conn.Write(make([]byte, 1<<20))
		if filled += n; err != nil {
			break
		}
	}
	if err := c.SetWriteDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	c.write.own = time.Now() // which has passed
	write(t, c, make([]byte, 100))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 16)
		if n, err := c.Read(b); string(b[:n]) != "+OK" || err != nil {
			t.Errorf("read %q, %v", b[:n], err)
		}
	}()
	if err := <-answer(server, filled+100); err != nil {
		t.Error(err)
	}
	<-done
}

// TestExchangeTooLate does not send a command whose time is over.
func TestExchangeTooLate(t *testing.T) {
	c, server := connected(t)
	write(t, c, []byte("command"))
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v, want a time-out", err)
	}
	c.Close()
	if b, err := io.ReadAll(server); len(b) > 0 || err != nil {
		t.Errorf("the server got %q, %v", b, err)
	}
}

// TestExchangeWithAServerThatIsGone: the error is one of those after which a
// command that only reads is tried again.
func TestExchangeWithAServerThatIsGone(t *testing.T) {
	c, server := connected(t)
	server.Close()
	for range 2 { // the second time it may be the system that knows
		write(t, c, []byte("command"))
		if _, err := c.Read(make([]byte, 1)); !broken(err) {
			t.Errorf("read: %v, want a broken connection", err)
		}
	}
	c.Close()
	write(t, c, []byte("command"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v, want %v", err, net.ErrClosed)
	}
}
