// Package nats is a NATS server inside this process, JetStream included, for
// development and tests: a client of NATS reaches it like any other, and so does
// the nats command.
//
// It is nats-server itself, used as a library, so that it does what the real
// one does. Streams and consumers survive a restart, if a folder is named for
// them (Options.Dir); those with memory storage do not, as ever with NATS. It
// trusts its clients: it has no password, so it listens on 127.0.0.1 unless told
// otherwise.
//
// It leaves out clusters, leaf nodes, the HTTP monitor and whatever else
// nats-server offers beside its client port.
package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/waxosuit/waxo/emulators/internal/filelock"
)

// Options configure a Server; nil works.
type Options struct {
	// Addr is the address to listen on, host:port. Default: 127.0.0.1:0, which
	// picks a free port.
	Addr string

	// Dir is the folder in which the state of JetStream lives between runs; it
	// is made where it is absent. What a client was told to be stored is there
	// also after kill -9. In it stands a file "lock" while a server has it.
	// Default: none, the state ends with the server.
	Dir string

	// Log is told of the server's warnings and errors. Default: discarded.
	Log *slog.Logger
}

// lockName is the file by which a server has a Dir.
const lockName = "lock"

// startTimeout bounds how long the start may take, and with it the reading of
// the state.
const startTimeout = 30 * time.Second

// Server is a running server.
type Server struct {
	srv  *server.Server
	dir  string
	lock *filelock.Lock // nil where the folder is the server's own

	ctx     context.Context // ends when Close begins
	stop    context.CancelFunc
	mu      sync.Mutex // guards exports against Close
	closed  bool
	exports sync.WaitGroup

	closing  sync.Once
	closeErr error
}

// LockedError says that another server has the folder of state.
type LockedError struct {
	Dir string
	PID int // of its process; 0 where that is not known
}

func (e *LockedError) Error() string {
	who := (&filelock.TakenError{PID: e.PID}).Holder()
	return fmt.Sprintf("emulators/nats: the state in %s is in use by %s: end that one, or use another folder", e.Dir, who)
}

// Start starts a server. It listens and answers when Start returns. Errors:
// those of net.Listen, a *LockedError where another server has the folder, those
// of nats-server where the state cannot be read. The server outlives ctx; Close
// ends it.
func Start(ctx context.Context, opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	host, port, err := listenable(ctx, cmp.Or(opts.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("emulators/nats: %w", err)
	}
	s := &Server{dir: opts.Dir}
	if err := s.openDir(); err != nil {
		return nil, err
	}
	o := serverOptions(s.dir)
	o.Host, o.Port = host, port
	if s.srv, err = run(o, opts.Log); err != nil {
		return nil, errors.Join(err, s.closeDir())
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// listenable tries an address, because nats-server says in words alone why it
// cannot listen.
func listenable(ctx context.Context, addr string) (host string, port int, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return "", 0, err
	}
	if err := listener.Close(); err != nil {
		return "", 0, err
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if port, err = net.LookupPort("tcp", text); err != nil {
		return "", 0, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return cmp.Or(host, server.DEFAULT_HOST), port, nil
}

// openDir makes and locks the folder of state.
func (s *Server) openDir() (err error) {
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "waxo-nats-"); err != nil {
			return fmt.Errorf("emulators/nats: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("emulators/nats: %w", err)
	}
	s.lock, err = filelock.File(filepath.Join(s.dir, lockName))
	var taken *filelock.TakenError
	switch {
	case errors.As(err, &taken):
		return &LockedError{Dir: s.dir, PID: taken.PID}
	case err != nil:
		return fmt.Errorf("emulators/nats: lock the state: %w", err)
	}
	return nil
}

// closeDir gives the folder of state back.
func (s *Server) closeDir() error {
	if s.lock == nil {
		return os.RemoveAll(s.dir)
	}
	return s.lock.Unlock()
}

// serverOptions are those of a server whose state is in dir.
func serverOptions(dir string) *server.Options {
	return &server.Options{
		ServerName:             "waxo", // a name of its own for each start would be logged by clients
		JetStream:              true,
		StoreDir:               dir,
		NoSigs:                 true, // signals are the program's
		NoLog:                  true,
		DisableJetStreamBanner: true,
	}
}

// run starts nats-server and waits until it answers.
func run(o *server.Options, log *slog.Logger) (*server.Server, error) {
	srv, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("emulators/nats: %w", err)
	}
	l := &logger{log: cmp.Or(log, slog.New(slog.DiscardHandler))}
	srv.SetLoggerV2(l, false, false, false)
	srv.Start()
	if err = l.fatal(); err == nil && !srv.ReadyForConnections(startTimeout) {
		err = cmp.Or(l.fatal(), fmt.Errorf("the server did not answer within %s", startTimeout))
	}
	if err == nil && !srv.JetStreamEnabled() {
		err = errors.New("JetStream did not start")
	}
	if err != nil {
		shutDown(srv)
		return nil, fmt.Errorf("emulators/nats: %w", err)
	}
	return srv, nil
}

func shutDown(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string {
	addr := s.srv.Addr().(*net.TCPAddr)
	return net.JoinHostPort(addr.IP.String(), strconv.Itoa(addr.Port))
}

// URL is the server's address as NATS clients take it.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Close ends the server with all its connections; the state is on disk then. It
// may be called twice.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.stop()
		s.exports.Wait()
		shutDown(s.srv)
		s.closeErr = s.closeDir()
	})
	return s.closeErr
}
