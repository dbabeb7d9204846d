// Package redis is a Redis server inside this process, for development and
// tests: a client of Redis reaches it like any other.
//
// It stands on miniredis, and adds what a server that people develop against
// needs: time passes, and keys expire when they should; what clients send is
// checked before anything acts on it; and the state survives a restart, if a
// file is named for it (Options.File).
//
// It promises what the capabilities of waxo use of Redis 7, and beyond that
// what miniredis can do. Known differences from Redis 7: no CONFIG, no
// persistence commands, no access control; SMEMBERS and KEYS come sorted;
// SINTERSTORE with an empty result keeps the destination; INCRBY by other
// clients accepts stored values such as "+1" (from a script it does not);
// inline commands know no quotes; the texts of some errors. Consumer groups of
// streams and HyperLogLogs are lost with a restart. It trusts its clients: it
// has no password, so it listens on 127.0.0.1 unless told otherwise.
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Options configure a Server; nil works.
type Options struct {
	// Addr is the address to listen on, host:port. Default: 127.0.0.1:0, which
	// picks a free port.
	Addr string

	// File is where the state lives between runs; its folder must exist. It is
	// written at Close and about a second after a change, never where nothing
	// changed, and always as a whole: aside, to the disk, then renamed. Beside
	// it stands File + ".lock" while a server has it. Default: none, the state
	// ends with the server. The format is in FORMAT.md.
	File string

	// Log is told of what goes wrong in the background: a state that could not
	// be written. Default: discarded.
	Log *slog.Logger
}

// Server is a running server.
type Server struct {
	mini     *miniredis.Miniredis
	srv      *server.Server
	listener net.Listener
	clock    clock
	state    *state // nil: none

	// gate is held for reading by commands that may change something, and for
	// writing by those who move the clock or copy the state.
	gate  sync.RWMutex
	peers sync.Map // of *server.Peer to *peer

	accepting sync.WaitGroup
	quit      chan struct{} // closed when the server closes
	closing   sync.Once
	closeErr  error
}

// Start starts a server. It listens when Start returns. Errors: those of
// net.Listen, a *LockedError where another server has the file, a *StateError
// where the file cannot be used. The server outlives ctx; Close ends it.
func Start(ctx context.Context, opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", cmp.Or(opts.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("emulators/redis: %w", err)
	}
	s := &Server{mini: miniredis.NewMiniRedis(), listener: listener, quit: make(chan struct{})}
	if err := s.start(opts); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return s, nil
}

func (s *Server) start(opts *Options) error {
	// A first connection makes miniredis serve without a listener of its own:
	// ours hands over connections that are guarded.
	first, err := s.mini.Dial()
	if err != nil {
		return fmt.Errorf("emulators/redis: %w", err)
	}
	first.Close()
	s.srv = s.mini.Server()
	s.clock = clock{mini: s.mini, gate: &s.gate}
	s.clock.next.Store(never)
	s.mini.ClockTTL(true)
	s.clock.advance(time.Now())
	s.srv.SetPreHook(s.hook)
	if opts.File != "" {
		if s.state, err = openState(s, opts); err != nil {
			s.mini.Close()
			return err
		}
	}
	s.accepting.Go(s.accept)
	return nil
}

// accept takes connections until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			// That connection failed, or there is no room for it now; or the
			// listener is closed.
			select {
			case <-s.quit:
				return
			case <-time.After(5 * time.Millisecond):
				continue
			}
		}
		s.srv.ServeConn(newGuard(conn))
	}
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the server's address as Redis clients take it, database 0.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Ready returns nil once the server answers, or an error where it does not
// within ctx.
func (s *Server) Ready(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return fmt.Errorf("emulators/redis: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	reply := make([]byte, len("+PONG\r\n"))
	if _, err = io.WriteString(conn, "PING\r\n"); err == nil {
		_, err = io.ReadFull(conn, reply)
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil && string(reply) != "+PONG\r\n":
		err = fmt.Errorf("the answer is %q", reply)
	}
	if err != nil {
		return fmt.Errorf("emulators/redis: PING: %w", err)
	}
	return nil
}

// Close ends the server with all its connections and writes the state. It may
// be called twice.
func (s *Server) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		s.closeErr = s.listener.Close()
		s.accepting.Wait()
		s.mini.Close()
		if s.state != nil {
			s.closeErr = errors.Join(s.closeErr, s.state.close())
		}
	})
	return s.closeErr
}
