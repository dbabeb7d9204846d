package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
)

// Service is a service in a container.
type Service struct {
	kind      kind
	engine    engine
	container testcontainers.Container
	id, name  string
	addr      string
	kept      bool // for others, by its key

	mu      sync.Mutex
	cut     map[string]*network.EndpointSettings // the networks that Disconnect took it from
	closing sync.Once
	closed  error
}

// URL is what a provider takes as its url.
func (s *Service) URL() string { return s.kind.url(s.addr) }

// Addr is where the service is, host:port.
func (s *Service) Addr() string { return s.addr }

// Name is the container's name, as in "docker exec NAME".
func (s *Service) Name() string { return s.name }

// Stop ends the service in an orderly way, or by force after 10 s. Start starts it
// again, with what it kept.
func (s *Service) Stop(ctx context.Context) error {
	_, err := s.engine.client.ContainerStop(ctx, s.id, client.ContainerStopOptions{})
	return s.failed("stop", err)
}

// Start starts the service after Stop or Kill, at the same address, and returns
// when it answers.
func (s *Service) Start(ctx context.Context) error {
	_, err := s.engine.client.ContainerStart(ctx, s.id, client.ContainerStartOptions{})
	return s.back(ctx, "start", err)
}

// Kill ends the service at once, with SIGKILL.
func (s *Service) Kill(ctx context.Context) error {
	_, err := s.engine.client.ContainerKill(ctx, s.id, client.ContainerKillOptions{Signal: "KILL"})
	return s.failed("kill", err)
}

// Pause freezes the service: connections stay, and nothing answers.
func (s *Service) Pause(ctx context.Context) error {
	_, err := s.engine.client.ContainerPause(ctx, s.id, client.ContainerPauseOptions{})
	return s.failed("pause", err)
}

// Unpause undoes Pause, and returns when the service answers.
func (s *Service) Unpause(ctx context.Context) error {
	_, err := s.engine.client.ContainerUnpause(ctx, s.id, client.ContainerUnpauseOptions{})
	return s.back(ctx, "unpause", err)
}

// Disconnect takes the service from its networks: packets get lost, both ways.
func (s *Service) Disconnect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, err := s.engine.client.ContainerInspect(ctx, s.id, client.ContainerInspectOptions{})
	if err != nil {
		return s.failed("disconnect", err)
	}
	if s.cut == nil {
		s.cut = make(map[string]*network.EndpointSettings)
	}
	for name, endpoint := range seen.Container.NetworkSettings.Networks {
		if _, err := s.engine.client.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: s.id}); err != nil {
			return s.failed("disconnect", err)
		}
		s.cut[name] = &network.EndpointSettings{Aliases: endpoint.Aliases}
	}
	return nil
}

// Connect undoes Disconnect, and returns when the service answers.
func (s *Service) Connect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, endpoint := range s.cut {
		if _, err := s.engine.client.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: s.id, EndpointConfig: endpoint}); err != nil {
			return s.failed("connect", err)
		}
		delete(s.cut, name)
	}
	return s.back(ctx, "connect", nil)
}

// Exec runs a command in the container and returns what it prints. One that ends
// with another status than 0 is an error that holds its output.
func (s *Service) Exec(ctx context.Context, command ...string) (string, error) {
	status, output, err := s.container.Exec(ctx, command, tcexec.Multiplexed())
	if err != nil {
		return "", s.failed("exec", err)
	}
	printed, err := io.ReadAll(output)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d: %s", strings.Join(command, " "), status, strings.TrimSpace(string(printed)))
	}
	return string(printed), s.failed("exec", err)
}

// Close removes the container at once, or leaves it to others if it has a key. It
// may be called twice.
func (s *Service) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closed = s.failed("close", s.close(ctx)) })
	return s.closed
}

func (s *Service) close(ctx context.Context) error {
	if s.kept {
		return s.engine.close()
	}
	err := s.container.Terminate(ctx, testcontainers.StopTimeout(0))
	// Terminate gives up where the reaper was faster.
	return errors.Join(ignoreGone(err), s.engine.close())
}

// abandon removes a container that never served. The context of its start may
// have ended.
func (s *Service) abandon() error {
	ctx, cancel := context.WithTimeout(context.Background(), abandonTimeout)
	defer cancel()
	return s.Close(ctx)
}

func (s *Service) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("harness/containers: %s %s: %w", what, s.name, err)
}

// back waits for a service that was brought back.
func (s *Service) back(ctx context.Context, what string, err error) error {
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		err = s.await(ctx)
	}
	return s.failed(what, err)
}

// await returns when the service answers, or when it is clear that it will not.
func (s *Service) await(ctx context.Context) error {
	next := time.NewTicker(pollService)
	defer next.Stop()
	looked := time.Now()
	for {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := s.kind.ready(try, s.addr)
		cancel()
		if err == nil {
			return nil
		}
		if time.Since(looked) > pollContainer {
			if err := s.running(ctx); err != nil {
				return err
			}
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s (%w): %w%s", s.addr, context.Cause(ctx), err, s.lastWords())
		case <-next.C:
		}
	}
}

// running tells whether the container runs, and if not, why.
func (s *Service) running(ctx context.Context) error {
	state, err := s.container.State(ctx)
	if err != nil || state.Running || ctx.Err() != nil {
		return nil // it is not known that it does not
	}
	return fmt.Errorf("its container ended with status %d%s", state.ExitCode, s.lastWords())
}

// lastWords are the last lines that the container printed.
func (s *Service) lastWords() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	logs, err := s.container.Logs(ctx)
	if err != nil {
		return ""
	}
	defer logs.Close()
	text, _ := io.ReadAll(io.LimitReader(logs, 1<<20))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	if last := strings.Join(lines, "\n"); last != "" {
		return "; it printed last:\n" + last
	}
	return "; it printed nothing"
}
