package hostsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/waxosuit/waxo/testscripts/report"
)

// Starter serves a module until ctx ends, and then lets calls in hand finish. Its
// error, where it did not serve, is why it refuses the module.
type Starter func(ctx context.Context, module string, env []string, out io.Writer) error

// RunInProcess checks a host that is started in this process.
func RunInProcess(ctx context.Context, opts *Options, start Starter) (*report.Report, error) {
	return check(ctx, &starters{serve: start, ports: newPorts()}, opts)
}

type starters struct {
	serve Starter
	ports *ports
}

func (s *starters) name() string { return "faulty" }

func (s *starters) lacks(need string) string {
	if need == needLibrary {
		return "the host serves HTTP"
	}
	return ""
}

func (s *starters) start(ctx context.Context, module string, set *settings) (running, error) {
	endpoint, err := newServed(s.ports)
	if err != nil {
		return nil, err
	}
	h := &started{served: endpoint, exited: make(chan struct{})}
	serving, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	env := append([]string{"PORT=" + h.port}, set.environment()...)
	env = append(env, set.env...)
	go func() {
		defer close(h.exited)
		defer h.out.end()
		if h.err = s.serve(serving, module, env, h.out); h.err != nil {
			fmt.Fprintln(h.out, h.err)
		}
	}()
	if err := h.await(ctx, h.exited, func() error { return h.err }); err != nil {
		h.kill()
		return nil, err
	}
	return h, nil
}

// started is a host in this process.
type started struct {
	*served
	cancel context.CancelFunc
	exited chan struct{}
	err    error
}

func (h *started) terminate() error {
	h.cancel()
	return nil
}

func (h *started) stop(ctx context.Context) error {
	h.cancel()
	h.client.CloseIdleConnections()
	select {
	case <-h.exited:
		return h.err
	case <-ctx.Done():
		return errors.New("the host was told to end, and goes on")
	}
}

// kill does not wait for what a fault has made endless.
func (h *started) kill() {
	h.cancel()
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-h.exited:
		h.release()
	case <-timer.C:
	}
}
