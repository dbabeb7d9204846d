// Command reaper removes what a test session leaves in the container engine. It
// stands in for Ryuk, the reaper of Testcontainers, where that image cannot be
// had, and speaks its protocol:
//
// A client connects to port 8080 and sends lines of filters, such as
// "label=a=b&label=c=d". Each is answered with "ACK" on a line. Once the last
// client is gone, and none came back within RYUK_RECONNECTION_TIMEOUT (10s), or
// none ever came within RYUK_CONNECTION_TIMEOUT (60s), every container, network,
// volume and image that one of the filters describes is removed, and the program
// ends. "Started" in its output says that it listens.
//
// It is compiled alone, from this one file, so it uses the standard library only.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	engineSocket  = "/var/run/docker.sock"
	engineTimeout = 30 * time.Second // for one request
	attempts      = 10               // to remove everything, a second apart
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", ":"+cmp.Or(os.Getenv("RYUK_PORT"), "8080"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "reaper:", err)
		os.Exit(1)
	}
	fmt.Println("Started")
	r := &reaper{
		first: duration("RYUK_CONNECTION_TIMEOUT", time.Minute),
		again: duration("RYUK_RECONNECTION_TIMEOUT", 10*time.Second),
		pause: time.Second,
		engine: &http.Client{Timeout: engineTimeout, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", engineSocket)
			},
		}},
	}
	if err := r.run(ctx, listener); err != nil {
		fmt.Fprintln(os.Stderr, "reaper:", err)
		os.Exit(1)
	}
}

// duration reads a time-out from the environment.
func duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

type reaper struct {
	first, again time.Duration // how long to wait for clients, see above
	pause        time.Duration // between attempts
	engine       *http.Client

	mu      sync.Mutex
	conns   map[net.Conn]bool
	filters map[string]bool // lines as they came
}

// run serves clients until they are gone for long enough, or ctx ends, and then
// removes what they described.
func (r *reaper) run(ctx context.Context, listener net.Listener) error {
	r.conns, r.filters = make(map[net.Conn]bool), make(map[string]bool)
	changed := make(chan struct{}) // after each client that came or went
	done := make(chan struct{})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed below
			}
			r.enter(conn)
			serving.Go(func() {
				r.serve(conn)
				r.leave(conn)
				send(changed, done)
			})
			send(changed, done)
		}
	})
	r.wait(ctx, changed)
	close(done)
	listener.Close()
	r.hangUp()
	serving.Wait()
	return r.reap(context.WithoutCancel(ctx))
}

func send(changed chan<- struct{}, done <-chan struct{}) {
	select {
	case changed <- struct{}{}:
	case <-done:
	}
}

// wait returns when there was no client for as long as it may take one to come.
func (r *reaper) wait(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(r.first)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			timer.Stop()
			if r.clients() == 0 {
				timer.Reset(r.again)
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *reaper) enter(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[conn] = true
}

func (r *reaper) leave(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}

func (r *reaper) clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

func (r *reaper) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		conn.Close()
	}
}

// serve takes the filters of one client until it hangs up.
func (r *reaper) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if _, err := query(line); err != nil {
			fmt.Fprintln(os.Stderr, "reaper: no filter:", err)
			return
		}
		r.mu.Lock()
		r.filters[line] = true
		r.mu.Unlock()
		if _, err := io.WriteString(conn, "ACK\n"); err != nil {
			return
		}
	}
}

// query makes a client's line the filter that the engine's interface takes. What
// filters nothing is refused: it would remove everything.
func query(line string) (string, error) {
	values, err := url.ParseQuery(line)
	if err != nil {
		return "", err
	}
	for key := range values {
		if key != "label" {
			return "", fmt.Errorf("%q: this stand-in knows labels alone", line)
		}
	}
	if len(values) == 0 {
		return "", errors.New("it is empty")
	}
	filter, err := json.Marshal(values)
	return string(filter), err
}

// The things that the engine keeps, in the order in which they can be removed.
var kinds = []struct{ list, remove, options string }{
	{"/containers/json?all=1&filters=", "/containers/", "?force=1&v=1"},
	{"/networks?filters=", "/networks/", ""},
	{"/volumes?filters=", "/volumes/", "?force=1"},
	{"/images/json?filters=", "/images/", "?force=1"},
}

// reap removes what the filters describe. A container that was being started when
// its session died may come late, so it looks until it finds nothing.
func (r *reaper) reap(ctx context.Context) error {
	var err error
	for range attempts {
		var found int
		if found, err = r.sweep(ctx); found == 0 && err == nil {
			return nil
		}
		time.Sleep(r.pause)
	}
	return cmp.Or(err, errors.New("things come up faster than they can be removed"))
}

// sweep removes everything once, and tells how much there was.
func (r *reaper) sweep(ctx context.Context) (found int, err error) {
	var errs []error
	for line := range r.filters {
		filter, err := query(line)
		if err != nil {
			return 0, err
		}
		for _, kind := range kinds {
			things, err := r.list(ctx, kind.list+url.QueryEscape(filter))
			errs = append(errs, err)
			found += len(things)
			for _, thing := range things {
				_, err := r.ask(ctx, http.MethodDelete, kind.remove+url.PathEscape(thing)+kind.options)
				errs = append(errs, err)
			}
		}
	}
	return found, errors.Join(errs...)
}

// list returns what the engine calls the things at a path of its interface.
func (r *reaper) list(ctx context.Context, path string) ([]string, error) {
	answer, err := r.ask(ctx, http.MethodGet, path)
	if err != nil {
		return nil, err
	}
	type thing struct{ ID, Name string } // a volume has no ID
	var things []thing
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("{")) {
		var volumes struct{ Volumes []thing }
		err = json.Unmarshal(answer, &volumes)
		things = volumes.Volumes
	} else {
		err = json.Unmarshal(answer, &things)
	}
	names := make([]string, 0, len(things))
	for _, t := range things {
		names = append(names, cmp.Or(t.ID, t.Name))
	}
	return names, err
}

// ask makes one request. What is gone, or just goes, is no failure.
func (r *reaper) ask(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://engine"+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.engine.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	gone := response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusConflict
	if err == nil && response.StatusCode >= 300 && !(method == http.MethodDelete && gone) {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(answer))
	}
	return answer, err
}
