package project

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wascap"
)

// session is a script that runs: its guest, and what its commands know of one
// another.
type session struct {
	ts    *testscript.TestScript
	guest *Guest // as it was built, by this script or before
	stand *Stand
	log   *log
	clock clock

	signed   []byte        // the module that the next start takes
	unsigned []byte        // what claims signs
	claims   wascap.Claims // that it is signed with
	halted   string        // where the guest was that was halted

	clients   map[capability.BindingID]bool // bindings of the script itself
	client    *http.Client
	response  *http.Response // of the last http; its body is read
	mailboxes []*mailbox
	chunks    *chunks
}

type sessionKey struct{}

// setup prepares a script's environment.
func setup(env *testscript.Env, opts *Options) error {
	s := &session{
		log: &log{}, clients: make(map[capability.BindingID]bool),
		client: &http.Client{
			// A redirect is an answer of the guest, to be looked at.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DisableCompression: true},
		},
	}
	s.take(opts.Guest)
	o := *opts.Stand
	o.Log, o.Console, o.Now = s.log.logger(), s.log.console, s.clock.now
	var err error
	if s.stand, err = NewStand(&o); err != nil {
		return err
	}
	env.Values[sessionKey{}] = s
	env.Setenv("PROJECT", filepath.Dir(opts.Guest.Manifest.Path))
	ctx := script.ContextOf(env)
	env.Defer(func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if err := s.close(ending); err != nil {
			env.T().Log("at the end of the script:", err)
		}
	})
	return nil
}

// take has the next start take a guest.
func (s *session) take(g *Guest) {
	s.guest, s.signed, s.unsigned, s.claims = g, g.Signed, g.sealed, g.claims
}

func (s *session) close(ctx context.Context) error {
	s.client.CloseIdleConnections()
	return s.stand.Close(ctx)
}

// serve starts the guest unless it runs. That takes the script's time, not that of
// what it is started for.
func (s *session) serve() error {
	if s.stand.host != nil {
		return nil
	}
	if err := s.start(script.Context(s.ts)); err != nil {
		return fmt.Errorf("the guest does not start: %w", err)
	}
	return nil
}

func (s *session) start(ctx context.Context) error {
	if err := s.stand.Start(ctx, s.signed, s.guest.Manifest); err != nil {
		return err
	}
	s.halted = ""
	s.export()
	return nil
}

// connect has the services run, also without a guest.
func (s *session) connect() error {
	if s.stand.binds != nil {
		return nil
	}
	if err := s.stand.connect(script.Context(s.ts), s.guest.Manifest, s.claims.Capabilities); err != nil {
		return err
	}
	s.export()
	return nil
}

// export shows addresses to the programs that the script runs.
func (s *session) export() {
	for _, e := range s.stand.Environment() {
		name, value, _ := strings.Cut(e, "=")
		s.ts.Setenv(name, value)
	}
}

// clock is a script's clock.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration // of the real one
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// set moves the clock: by "+1h" or "-1h", to a time, or back to "now".
func (c *clock) set(to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to == "now" {
		c.ahead = 0
		return nil
	}
	if strings.HasPrefix(to, "+") || strings.HasPrefix(to, "-") {
		by, err := time.ParseDuration(to)
		if err != nil {
			return fmt.Errorf("%q is no duration such as +25h or -10m", to)
		}
		c.ahead += by
		return nil
	}
	at, err := parseTime(to)
	if err != nil {
		return err
	}
	c.ahead = time.Until(at)
	return nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2030-01-31T12:00:00Z or 2030-01-31", text)
}

// halt ends the guest; the stores stay.
func (s *session) halt(ctx context.Context) error {
	if s.stand.host == nil {
		return errors.New("no guest runs")
	}
	s.halted = s.stand.URL()
	return s.stand.Stop(ctx)
}
