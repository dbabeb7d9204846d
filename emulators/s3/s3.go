// Package s3 is an S3 server inside the program, for development and tests: a
// real server of the real protocol, with one user, whose buckets and objects
// survive a restart where a folder is named for them (Options.Dir).
//
// It promises what the capabilities of waxo, the AWS command line ("aws s3") and
// the SDKs use of Amazon S3: buckets, objects, ranges, conditions, copies, lists
// of both versions with prefixes, delimiters and pages, multipart uploads with
// copied parts, presigned URLs. Signatures (Version 4, also of each chunk of a
// streamed body), their age, and every digest that comes with data are checked.
// Objects are in files, never in memory, and a multipart upload is completed
// without copying it.
//
// Known differences from Amazon S3: one user and one region, and no versions,
// tags, access control, encryption, storage classes or events: what asks for
// them is answered NotImplemented where it would change something. A bucket is
// addressed by the path, not by the host. Making one's own bucket again is
// BucketAlreadyOwnedByYou, as in every region of Amazon's but the first. Signature
// Version 2, with which "aws s3 presign" of the command line's version 1 signs
// unless s3.signature_version is s3v4, is refused.
//
// Data is not forced to the disk before it is confirmed: it survives the end of
// the process however it comes, but the last seconds before the machine loses
// power may be lost, in whole objects. An upload that nobody completed is dropped
// by a start a week later.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Region is the server's, and part of what is signed.
const Region = "us-east-1"

// Options configure a Server; nil works.
type Options struct {
	// Addr is the address to listen on, host:port. Default: 127.0.0.1:0, which
	// picks a free port.
	Addr string

	// Dir is the folder where the state lives between runs; it is made where it
	// is not there. FORMAT.md describes it. Default: a temporary one, which
	// Close removes.
	Dir string

	// AccessKey and SecretKey are those of the user. Default: "waxo" and
	// "waxo-secret".
	AccessKey, SecretKey string

	// Log is told of what goes wrong in the background, and of requests that
	// fail for a reason of ours. Default: discarded.
	Log *slog.Logger
}

// Server is a running server.
type Server struct {
	keys     keys
	log      *slog.Logger
	store    *store
	listener net.Listener
	http     http.Server
	requests sync.WaitGroup // in hand
	serving  sync.WaitGroup
	scratch  string // the temporary folder; empty for none

	mu       sync.Mutex
	closed   bool
	closing  sync.Once
	closeErr error
}

// Start starts a server. It listens when Start returns. Errors: those of
// net.Listen, a *LockedError where another server has the folder, a *StateError
// where its content cannot be used. The server outlives ctx; Close ends it.
func Start(ctx context.Context, opts *Options) (*Server, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Server{
		keys: keys{access: cmp.Or(opts.AccessKey, "waxo"), secret: cmp.Or(opts.SecretKey, "waxo-secret")},
		log:  cmp.Or(opts.Log, slog.New(slog.DiscardHandler)),
	}
	dir := opts.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "waxo-s3-*"); err != nil {
			return nil, fmt.Errorf("emulators/s3: %w", err)
		}
		s.scratch = dir
	}
	var config net.ListenConfig
	var err error
	if s.listener, err = config.Listen(ctx, "tcp", cmp.Or(opts.Addr, "127.0.0.1:0")); err != nil {
		return nil, errors.Join(fmt.Errorf("emulators/s3: %w", err), s.removeScratch())
	}
	if s.store, err = openStore(dir, s.log); err != nil {
		return nil, errors.Join(err, s.listener.Close(), s.removeScratch())
	}
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the S3 server stopped", "error", err)
		}
	})
	return s, nil
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the server's address with the user's keys and the region:
// http://KEY:SECRET@host:port?region=us-east-1.
func (s *Server) URL() string {
	u := url.URL{Scheme: "http", User: url.UserPassword(s.keys.access, s.keys.secret), Host: s.Addr(), RawQuery: "region=" + Region}
	return u.String()
}

// enter counts a request in, unless the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.requests.Add(1)
	}
	return !s.closed
}

// Close ends the server: what is under way is cut, connections are closed. It
// may be called twice.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.closeErr = s.http.Close()
		s.serving.Wait()
		s.requests.Wait()
		s.closeErr = errors.Join(s.closeErr, s.store.close(), s.removeScratch())
	})
	return s.closeErr
}

func (s *Server) removeScratch() error {
	if s.scratch == "" {
		return nil
	}
	return os.RemoveAll(s.scratch)
}
