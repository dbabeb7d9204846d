package faults_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/harness/faults"
)

// echo is a service that sends back what it gets.
func echo(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener
}

func start(t *testing.T) *faults.Proxy {
	t.Helper()
	p, err := faults.Start(echo(t).Addr().String())
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *faults.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends bytes and waits for their echo.
func ask(conn net.Conn, size int, within time.Duration) (took time.Duration, err error) {
	begun := time.Now()
	if err := conn.SetDeadline(begun.Add(within)); err != nil {
		return 0, err
	}
	go func() { _, _ = conn.Write(make([]byte, size)) }() // it ends with the deadline
	_, err = io.ReadFull(conn, make([]byte, size))
	return time.Since(begun), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const long = time.Minute // for what is to succeed, on a busy machine

func healthy(t *testing.T, p *faults.Proxy) {
	t.Helper()
	must(t, p.Heal())
	if _, err := ask(dial(t, p), 1000, long); err != nil {
		t.Errorf("after Heal: %v", err)
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	p := start(t)
	conn := dial(t, p)
	_, err := ask(conn, 10, long)
	must(t, err)
	for _, d := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond} {
		must(t, p.Latency(d, 0))
		if took, err := ask(conn, 10, long); err != nil || took < d {
			t.Errorf("late by %v, it took %v (%v)", d, took, err)
		}
	}
	healthy(t, p)
}

func TestBandwidth(t *testing.T) {
	t.Parallel()
	p := start(t)
	must(t, p.Bandwidth(64))
	if took, err := ask(dial(t, p), 32<<10, long); err != nil || took < 400*time.Millisecond {
		t.Errorf("32 KiB at 64 KiB/s took %v (%v)", took, err)
	}
	healthy(t, p)
}

func TestSilence(t *testing.T) {
	t.Parallel()
	p := start(t)
	before := dial(t, p)
	_, err := ask(before, 10, long)
	must(t, err)
	must(t, p.Silence())
	for _, conn := range []net.Conn{before, dial(t, p)} {
		if _, err := ask(conn, 10, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it is not silent: %v", err)
		}
	}
	healthy(t, p)
}

func TestReset(t *testing.T) {
	t.Parallel()
	p := start(t)
	must(t, p.Reset())
	if _, err := ask(dial(t, p), 10, long); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("not reset: %v", err)
	}
	healthy(t, p)
}

func TestCut(t *testing.T) {
	t.Parallel()
	p := start(t)
	conn := dial(t, p)
	_, err := ask(conn, 10, long)
	must(t, err)
	addr := p.Addr()
	must(t, p.Cut())
	must(t, p.Cut())
	if _, err := ask(conn, 10, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection lives on: %v", err)
	}
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new one: %v", err)
	}
	healthy(t, p)
	if p.Addr() != addr {
		t.Errorf("it is at %s now, and was at %s", p.Addr(), addr)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	p := start(t)
	must(t, p.Close())
	must(t, p.Close())
	for _, err := range []error{p.Latency(1, 0), p.Bandwidth(1), p.Silence(), p.Reset(), p.Cut(), p.Heal()} {
		if !errors.Is(err, faults.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("it listens: %v", err)
	}
}

func TestBefore(t *testing.T) {
	t.Parallel()
	p, u, err := faults.Before("http://key:secret@" + echo(t).Addr().String() + "?region=us-east-1")
	must(t, err)
	defer p.Close()
	if want := "http://key:secret@" + p.Addr() + "?region=us-east-1"; u != want {
		t.Errorf("URL = %q, want %q", u, want)
	}
	_, err = ask(dial(t, p), 10, long)
	must(t, err)
	for _, bad := range []string{"redis://127.0.0.1", "::", ""} {
		if _, _, err := faults.Before(bad); err == nil || !strings.HasPrefix(err.Error(), "harness/faults: ") {
			t.Errorf("before %q: %v", bad, err)
		}
	}
	gone := echo(t)
	lost, err := faults.Start(gone.Addr().String())
	must(t, err)
	defer lost.Close()
	gone.Close()
	if _, err := ask(dial(t, lost), 10, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without a service: %v", err)
	}
}
