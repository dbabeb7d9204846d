package companion

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// process is a companion that runs.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it ended and err is set
	err  error
	tail tail

	mu      sync.Mutex // for those who write, and for
	last    int64
	waiting map[int64]chan message
}

// helloTimeout is how long a companion may take to say hello.
const helloTimeout = 20 * time.Second

// spawn runs a companion.
func spawn(ctx context.Context, path string, stderr io.Writer) (*process, error) {
	p := &process{cmd: exec.Command(path), done: make(chan struct{}), waiting: make(map[int64]chan message)}
	p.cmd.SysProcAttr = ownGroup()
	p.cmd.Env = environment(p.cmd.Environ())
	p.cmd.Stderr = &p.tail
	if stderr != nil {
		p.cmd.Stderr = io.MultiWriter(&p.tail, stderr)
	}
	p.cmd.WaitDelay = time.Second
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in = in
	hello := make(chan message, 1)
	p.waiting[0] = hello
	go p.read(out)
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	select {
	case m := <-hello:
		if m.Protocol != protocol {
			return nil, errors.Join(fmt.Errorf("it speaks version %d of the protocol, and this program %d: it belongs to another waxo. Remove it, or install the one of this version", m.Protocol, protocol), p.kill())
		}
		return p, nil
	case <-p.done:
		return nil, p.err
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("it does not say hello: %w", context.Cause(ctx)), p.kill())
	}
}

// environment gives a companion a session of its own with testcontainers-go, by
// which the reaper tells what is to go, and makes the reaper quick: it waits for a
// companion that cannot come back.
func environment(env []string) []string {
	const session, patience = "TESTCONTAINERS_SESSION_ID=", "RYUK_RECONNECTION_TIMEOUT="
	env = append(env, session+"waxo-"+strings.ToLower(rand.Text()))
	if !slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, patience) }) {
		env = append(env, patience+"3s")
	}
	return env
}

// read hands answers to those who wait, until the companion ends.
func (p *process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	var garbled error
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			garbled = fmt.Errorf("it says %.100q", lines.Text())
			p.in.Close()
			break
		}
		p.deliver(m)
	}
	_, _ = io.Copy(io.Discard, out)
	err := p.cmd.Wait()
	p.err = errors.Join(garbled, p.explain(err))
	close(p.done)
}

// deliver hands an answer to the one who waits for it. A service that nobody waits
// for any more is stopped.
func (p *process) deliver(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting := p.waiting[m.ID]; waiting != nil {
		delete(p.waiting, m.ID)
		waiting <- m // there is room
	} else if m.Name != "" {
		p.last++
		_ = p.write(message{ID: p.last, Stop: m.Name}) // or it ends, and with it the service
	}
}

// explain says why a companion ended, for those who did not expect it.
func (p *process) explain(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if words := p.tail.String(); words != "" {
		return fmt.Errorf("%s ended (%w): %s", Program, err, words)
	}
	return fmt.Errorf("%s ended (%w)", Program, err)
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// call sends a request and waits for its answer.
func (p *process) call(ctx context.Context, m message) (message, error) {
	answer := make(chan message, 1)
	p.mu.Lock()
	p.last++
	m.ID = p.last
	p.waiting[m.ID] = answer
	err := p.write(m)
	p.mu.Unlock()
	if err != nil {
		// Its input is closed: it ends, or has.
		p.forget(m.ID)
		select {
		case <-p.done:
			err = p.err
		case <-ctx.Done():
		}
		return message{}, err
	}
	select {
	case a := <-answer:
		switch {
		case a.NoEngine:
			return a, &remoteError{a.Error, ErrNoEngine}
		case a.Error != "":
			return a, &remoteError{a.Error, nil}
		}
		return a, nil
	case <-p.done:
		return message{}, p.err
	case <-ctx.Done():
		p.forget(m.ID)
		p.mu.Lock()
		defer p.mu.Unlock()
		return message{}, errors.Join(context.Cause(ctx), p.write(message{Cancel: m.ID}))
	}
}

// remoteError is an error of the companion.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

func (p *process) forget(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

func (p *process) write(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(line, '\n'))
	return err
}

// end closes the companion's input, upon which it ends everything, and waits.
func (p *process) end(ctx context.Context) error {
	p.in.Close()
	ctx, cancel := context.WithTimeout(ctx, endTimeout+5*time.Second)
	defer cancel()
	select {
	case <-p.done:
		if p.cmd.ProcessState.Success() {
			return nil
		}
		return p.err
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("harness/companion: %s does not end: %w", Program, context.Cause(ctx)), p.kill())
	}
}

func (p *process) kill() error {
	p.in.Close()
	err := p.cmd.Process.Kill()
	<-p.done
	return err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 2048

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = slices.Delete(t.kept, 0, extra)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
