package plugin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxHandshake is the length of the handshake's line at most. A certificate
	// takes some 900 bytes of it.
	maxHandshake = 8 << 10

	// drainTime is how long the output of a process that has ended may take to
	// come.
	drainTime = time.Second
)

// process is a plugin's process.
type process struct {
	name string // the plugin's file, for people
	cmd  *exec.Cmd
	log  *lineLog

	input     *os.File      // closing it tells the plugin to end
	greeted   chan struct{} // closed when the plugin has said where it listens, or will not
	greeting  *greeting     // where; nil where there is none. Set before greeted is closed
	handshake error         // what is wrong with it. Set before greeted is closed

	starting context.Context // as long as this lasts, up may be waited for
	up       func() bool     // ends that

	exited  chan struct{}
	how     error       // how it ended; set before exited is closed
	reaped  atomic.Bool // its number is free for another
	endOnce sync.Once
	cause   error // why it was ended, where that is worth telling
}

// newProcess prepares a process; env is all of its environment. Where ctx ends
// before up is called, the process is ended.
func newProcess(ctx context.Context, name string, im *image, env []string, log *lineLog) *process {
	p := &process{name: name, log: log, starting: ctx, greeted: make(chan struct{}), exited: make(chan struct{})}
	p.cmd = &exec.Cmd{Path: im.path, Args: []string{name}, Env: env, SysProcAttr: attributes()}
	if im.file != nil {
		p.cmd.ExtraFiles = []*os.File{im.file}
	}
	return p
}

// run starts the process and what reads from it.
func (p *process) run() error {
	var ours, theirs [3]*os.File
	var err error
	for i := range ours {
		read, write, e := os.Pipe()
		err = errors.Join(err, e)
		ours[i], theirs[i] = read, write
		if i == 0 {
			ours[i], theirs[i] = write, read
		}
	}
	if err == nil {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirs[0], theirs[1], theirs[2]
		err = p.launch(func() { p.watch(ours[1], ours[2]) })
	}
	for i := range theirs {
		theirs[i].Close() // ours alone are needed from here on; of nil, too
		if err != nil {
			ours[i].Close()
		}
	}
	if err != nil {
		return fmt.Errorf("it cannot be executed: %w", execError(err))
	}
	p.input = ours[0]
	p.up = context.AfterFunc(p.starting, func() { p.end(context.Cause(p.starting)) })
	return nil
}

// launch starts the process, and has what waits for its end run then. Both happen
// on one thread, which lives as long: on Linux, the process is bound to it.
func (p *process) launch(wait func()) error {
	started := make(chan error)
	go func() {
		defer stayOnThread()()
		err := p.start()
		started <- err
		if err == nil {
			wait()
		}
	}()
	return <-started
}

// start starts the process. A file that was just written may be open in a child
// of this process that has not reached its exec yet, which passes.
func (p *process) start() error {
	for attempt := 0; ; attempt++ {
		err := p.cmd.Start()
		if err == nil || attempt == 10 || !isTextBusy(err) {
			return err
		}
		again := *p.cmd
		p.cmd = &exec.Cmd{Path: again.Path, Args: again.Args, Env: again.Env, SysProcAttr: again.SysProcAttr,
			Stdin: again.Stdin, Stdout: again.Stdout, Stderr: again.Stderr, ExtraFiles: again.ExtraFiles}
		time.Sleep(time.Duration(attempt+1) * time.Millisecond)
	}
}

// execError is what is wrong with a file that cannot be executed, without the
// name of its copy.
func execError(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// watch reads what the process writes until it has ended, and ends what the
// process left behind.
func (p *process) watch(stdout, stderr *os.File) {
	var readers sync.WaitGroup
	readers.Go(func() { p.readOutput(stdout) })
	readers.Go(func() { _, _ = io.Copy(p.log.stream("stderr"), stderr) })
	p.how = p.cmd.Wait()
	p.reaped.Store(true)
	killGroup(p.cmd.Process.Pid)
	for _, f := range []*os.File{stdout, stderr} {
		if err := f.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
			f.Close()
		}
	}
	readers.Wait()
	stdout.Close()
	stderr.Close()
	p.log.flush()
	close(p.exited)
}

// readOutput takes the first line for a handshake, and logs the rest.
func (p *process) readOutput(stdout *os.File) {
	r := bufio.NewReaderSize(stdout, maxHandshake)
	line, err := r.ReadSlice('\n')
	if err == nil || len(line) > 0 {
		p.greeting, p.handshake = parseHandshake(string(bytes.TrimSpace(line)))
	}
	close(p.greeted)
	_, _ = io.Copy(p.log.stream("stdout"), r)
}

// quote quotes what a plugin wrote, which may be long and hold anything.
func quote(s string) string {
	const limit = 100
	if len(s) > limit {
		return strconv.Quote(strings.ToValidUTF8(s[:limit], "")) + "..."
	}
	return strconv.Quote(s)
}

// end has the process end at once. The first cause is kept.
func (p *process) end(cause error) {
	p.endOnce.Do(func() {
		p.cause = cause
		if p.cmd.Process != nil && !p.reaped.Load() {
			killGroup(p.cmd.Process.Pid)
		}
	})
}

// reason says how the process ended, which it has.
func (p *process) reason() string {
	how := "it ended by itself"
	p.endOnce.Do(func() {}) // what comes later is no cause any more
	switch {
	case p.cause != nil:
		how = p.cause.Error()
	case p.how != nil:
		how = p.how.Error()
	}
	if last := p.log.last(); last != "" {
		how += "; the last that it wrote: " + quote(last)
	}
	return how
}
