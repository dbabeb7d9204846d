//go:build unix

package wapc

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// door is a pipe, to go through the scheduler's poller with.
type door struct {
	in, out *os.File
	raw     syscall.RawConn // of out
	written bool
	b       [1]byte
	offered time.Duration // when the core was offered last
}

// pass returns when the poller has found the pipe ready, and so everything else
// that was.
func (d *door) pass() {
	if d.out == nil && d.open() != nil {
		runtime.Gosched()
		return
	}
	d.written = false
	if d.raw.Read(d.step) != nil {
		runtime.Gosched()
	}
}

// step makes the pipe ready and waits; the second time, it is.
func (d *door) step(out uintptr) (done bool) {
	if !d.written {
		d.written = true
		_, err := d.in.Write(d.b[:])
		return err != nil
	}
	_, err := syscall.Read(int(out), d.b[:])
	return err != syscall.EAGAIN
}

func (d *door) open() (err error) {
	if d.out, d.in, err = os.Pipe(); err != nil {
		return err
	}
	if d.raw, err = d.out.SyscallConn(); err != nil {
		d.close()
	}
	return err
}

func (d *door) close() {
	if d.out != nil {
		_, _ = d.out.Close(), d.in.Close()
		d.out = nil
	}
}
