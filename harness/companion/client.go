package companion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Options configure a Client; nil works.
type Options struct {
	// Program is the companion to run. Default: waxo-containers beside this
	// process's executable, or else in PATH; otherwise it is built, with Go, and kept
	// in the user's cache folder.
	Program string

	// Progress is told what takes long, in a line. Default: it is not said.
	Progress func(line string)

	// Stderr is where the companion's own words go. Default: nowhere, but for the
	// last of them in the error where it ends by itself.
	Stderr io.Writer
}

// Client starts services through a companion, which it runs while it has
// something to do. It is for several goroutines at once.
type Client struct {
	opts Options

	mu      sync.Mutex
	current *process // nil: none runs
	closed  bool
}

// NewClient makes a client. Nothing runs until Start.
func NewClient(opts *Options) *Client {
	c := &Client{}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Progress == nil {
		c.opts.Progress = func(string) {}
	}
	return c
}

// Start starts a service and returns when it answers. Without a container engine
// the error matches ErrNoEngine.
func (c *Client) Start(ctx context.Context, r Request) (*Service, error) {
	p, err := c.process(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := p.call(ctx, message{Start: &r})
	if errors.Is(err, ErrNoEngine) {
		// It would not look again.
		return nil, errors.Join(err, c.retire(ctx, p))
	}
	if err != nil {
		return nil, err
	}
	return &Service{process: p, started: answer.Started}, nil
}

// Remove ends the services that were started with the key reuse.
func (c *Client) Remove(ctx context.Context, reuse string) error {
	p, err := c.process(ctx)
	if err != nil {
		return err
	}
	_, err = p.call(ctx, message{Remove: reuse})
	return err
}

// process returns the companion, and runs one where there is none.
func (c *Client) process(ctx context.Context) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("harness/companion: the client is closed")
	}
	if c.current != nil && c.current.alive() {
		return c.current, nil
	}
	path, err := c.opts.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("harness/companion: %w", err)
	}
	p, err := spawn(ctx, path, c.opts.Stderr)
	if err != nil {
		return nil, fmt.Errorf("harness/companion: %s: %w", path, err)
	}
	c.current = p
	return p, nil
}

// retire ends a companion that is of no use any more.
func (c *Client) retire(ctx context.Context, p *process) error {
	c.mu.Lock()
	if c.current == p {
		c.current = nil
	}
	c.mu.Unlock()
	return p.end(ctx)
}

// Close ends the companion and with it every service without a reuse key. Where
// that does not happen within ctx, the companion is killed and its reaper does the
// rest. It may be called twice.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	p := c.current
	c.current, c.closed = nil, true
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.end(ctx)
}

// Service is a service that a companion runs.
type Service struct {
	process *process
	started Started

	closing sync.Once
	closed  error
}

// URL is what a provider takes as its url.
func (s *Service) URL() string { return s.started.URL }

// Name is the container's name, as in "docker exec NAME".
func (s *Service) Name() string { return s.started.Name }

// Close ends the service, or leaves it to others if it has a reuse key. It may be
// called twice. With its companion it is gone anyway.
func (s *Service) Close(ctx context.Context) error {
	s.closing.Do(func() {
		if s.process.alive() {
			_, s.closed = s.process.call(ctx, message{Stop: s.started.Name})
		}
	})
	return s.closed
}
