//go:build unix

package sock

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

// pair makes two sockets that do not block.
func pair(t *testing.T) (a, b uintptr) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := syscall.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(fd) })
	}
	return uintptr(fds[0]), uintptr(fds[1])
}

func TestReadAndWrite(t *testing.T) {
	for _, size := range []int{1, 16 << 10, 16<<10 + 1, 50_000} {
		a, b := pair(t)
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		if n, err := Write(a, want); n != size || err != nil {
			t.Fatalf("%d bytes: wrote %d, %v", size, n, err)
		}
		got := make([]byte, size+1)
		if n, err := Read(b, got); n != size || err != nil || !bytes.Equal(got[:n], want) {
			t.Errorf("%d bytes: read %d, %v", size, n, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, size := range []int{1, 100_000} {
		a, b := pair(t)
		p := make([]byte, size)
		if n, err := Read(b, p); n > 0 || !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("nothing there: %d, %v", n, err)
		}
		for {
			n, err := Write(a, p)
			if err != nil {
				if n > 0 || !errors.Is(err, syscall.EAGAIN) {
					t.Errorf("full: %d, %v", n, err)
				}
				break
			}
		}
		if err := syscall.Shutdown(int(b), syscall.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		if n, err := Write(a, p); n > 0 || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("closed: %d, %v", n, err)
		}
		if n, err := Read(a, p); n != 0 || err != nil {
			t.Errorf("at the end: %d, %v", n, err)
		}
	}
	if _, err := Read(^uintptr(0), make([]byte, 1)); !errors.Is(err, syscall.EBADF) {
		t.Errorf("no socket: %v", err)
	}
	a, b := pair(t)
	if n, err := Write(a, nil); n != 0 || err != nil {
		t.Errorf("nothing to write: %d, %v", n, err)
	}
	_ = b
}
