// Package wapchost lets hostsuite check @wapc/host, the waPC host of JavaScript, so
// that the suite is known to tell two hosts apart.
//
// The host runs on Node.js, in processes that main.mjs drives, and nothing is added
// to what it does: where it has no deadline, or looks at no claims, this says so.
package wapchost

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
)

// Engine is the host.
type Engine struct {
	dir  string
	node string

	mu   sync.Mutex
	idle []*process
}

// New makes a host of what is installed in a folder: this one's files, with what
// `npm ci` adds.
func New(dir string) (*Engine, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("wapchost: %w; install Node.js", err)
	}
	return &Engine{dir: dir, node: node}, nil
}

// Name implements hostsuite.Engine.
func (e *Engine) Name() string { return "@wapc/host" }

// Close ends the processes. No guest may be loaded any more.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.idle {
		p.end()
	}
	e.idle = nil
}

// message is a line of either side, as main.mjs has them.
type message struct {
	Load    []byte  `json:"load,omitempty"`
	Call    *string `json:"call,omitempty"`
	Payload []byte  `json:"payload,omitempty"`

	Refused    *string   `json:"refused,omitempty"`
	Response   []byte    `json:"response,omitempty"`
	GuestError *string   `json:"guestError,omitempty"`
	Failed     *string   `json:"failed,omitempty"`
	Log        *string   `json:"log,omitempty"`
	HostCall   *hostCall `json:"hostCall,omitempty"`
	Error      *string   `json:"error,omitempty"`
}

type hostCall struct {
	Binding   string `json:"binding"`
	Namespace string `json:"namespace"`
	Operation string `json:"operation"`
	Payload   []byte `json:"payload"`
}

// Load implements hostsuite.Engine.
func (e *Engine) Load(ctx context.Context, module []byte, opts *hostsuite.LoadOptions) (hostsuite.Guest, error) {
	p, err := e.process()
	if err != nil {
		return nil, err
	}
	g := &guest{engine: e, process: p, opts: opts}
	answer, err := g.exchange(ctx, message{Load: module})
	if err == nil && answer.Refused != nil {
		err = errors.New(*answer.Refused)
	}
	if err != nil {
		return nil, errors.Join(err, g.Close(ctx))
	}
	return g, nil
}

// process takes one that idles, or starts one.
func (e *Engine) process() (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.idle); n > 0 {
		p := e.idle[n-1]
		e.idle = e.idle[:n-1]
		return p, nil
	}
	p := &process{cmd: exec.Command(e.node, "main.mjs")}
	p.cmd.Dir, p.cmd.Stderr = e.dir, os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(bufio.NewReader(out))
	return p, p.cmd.Start()
}

// process is a process of Node.js.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// end ends a process at once. That it was killed is no error.
func (p *process) end() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// guest is a module that is loaded. A process runs one at a time, and one call of it.
type guest struct {
	engine  *Engine
	opts    *hostsuite.LoadOptions
	mu      sync.Mutex // held during an exchange
	process *process   // nil where it had to be killed, or was given back
}

var errGone = errors.New("the host's process was ended, as a call did not end")

// Call implements hostsuite.Guest.
func (g *guest) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	answer, err := g.exchange(ctx, message{Call: &operation, Payload: payload})
	switch {
	case err != nil:
		return nil, err
	case answer.GuestError != nil:
		return nil, &hostsuite.GuestError{Text: *answer.GuestError}
	case answer.Failed != nil:
		return nil, errors.New(*answer.Failed)
	}
	return answer.Response, nil
}

// exchange sends a command and serves what comes until it is done. Nothing stops a
// call that does not end but the end of its process.
func (g *guest) exchange(ctx context.Context, command message) (message, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.process
	if p == nil {
		return message{}, errGone
	}
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	answer, err := g.serve(ctx, p, command)
	if !stop() || err != nil {
		g.process = nil
		p.end()
		err = errors.Join(ctx.Err(), err)
	}
	return answer, err
}

func (g *guest) serve(ctx context.Context, p *process, command message) (message, error) {
	next := &command
	for {
		if next != nil {
			if err := json.NewEncoder(p.in).Encode(next); err != nil {
				return message{}, err
			}
			next = nil
		}
		var m message
		if err := p.out.Decode(&m); err != nil {
			return m, fmt.Errorf("the host's process has ended: %w", err)
		}
		switch {
		case m.Log != nil:
			g.opts.Log(*m.Log)
		case m.HostCall != nil:
			next = g.answer(ctx, m.HostCall)
		default:
			return m, nil
		}
	}
}

// answer performs a host call.
func (g *guest) answer(ctx context.Context, c *hostCall) *message {
	response, err := g.opts.HostCall(ctx, hostsuite.HostCall{Binding: c.Binding, Namespace: c.Namespace, Operation: c.Operation, Payload: c.Payload})
	if err != nil {
		return &message{Error: new(err.Error())}
	}
	return &message{Response: response}
}

// Close implements hostsuite.Guest.
func (g *guest) Close(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.process != nil {
		g.engine.mu.Lock()
		g.engine.idle = append(g.engine.idle, g.process)
		g.engine.mu.Unlock()
		g.process = nil
	}
	return nil
}
