package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// engine answers as a container engine does that holds one thing of each kind.
type engine struct {
	mu      sync.Mutex
	things  map[string]bool // "/containers/c1"
	filters []string
	stubs   int // how many more times a thing cannot be removed
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Method == http.MethodDelete {
		switch {
		case e.stubs > 0:
			e.stubs--
			http.Error(w, "it is in use", http.StatusInternalServerError)
			return
		case !e.things[r.URL.Path]:
			http.Error(w, "no such thing", http.StatusNotFound)
		}
		delete(e.things, r.URL.Path)
		return
	}
	e.filters = append(e.filters, r.URL.Query().Get("filters"))
	kind, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	var found []string
	for thing := range e.things {
		if name, ok := strings.CutPrefix(thing, "/"+kind+"/"); ok {
			key := "Id"
			if kind == "volumes" {
				key = "Name"
			}
			found = append(found, fmt.Sprintf("{%q:%q}", key, name))
		}
	}
	list := "[" + strings.Join(found, ",") + "]"
	if kind == "volumes" {
		list = `{"Volumes":` + list + "}"
	}
	fmt.Fprint(w, list)
}

// start runs a reaper before an engine, and returns its address and end.
func start(t *testing.T, e *engine, r *reaper) (addr string, end <-chan error) {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	r.pause = time.Millisecond
	r.engine = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.run(t.Context(), listener) }()
	return listener.Addr().String(), ended
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || answer != "ACK\n" {
		t.Fatalf("answered %q, %v", answer, err)
	}
}

func everything() map[string]bool {
	return map[string]bool{"/containers/c1": true, "/networks/n1": true, "/volumes/v1": true, "/images/i1": true}
}

// TestReaps: while one client is there nothing happens; when the last is gone,
// everything goes.
func TestReaps(t *testing.T) {
	e := &engine{things: everything(), stubs: 2}
	addr, ended := start(t, e, &reaper{first: time.Minute, again: time.Millisecond})
	one, two := dial(t, addr), dial(t, addr)
	say(t, one, "label=a=b&label=c=d")
	say(t, two, "label=e=f")
	one.Close()
	select {
	case <-ended:
		t.Fatal("it ended with a client there")
	case <-time.After(50 * time.Millisecond):
	}
	two.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(e.things) != 0 {
		t.Errorf("left: %v", e.things)
	}
	for _, want := range []string{`{"label":["a=b","c=d"]}`, `{"label":["e=f"]}`} {
		if !slices.Contains(e.filters, want) {
			t.Errorf("no question with the filter %s: %v", want, e.filters)
		}
	}
}

func TestClientComesBack(t *testing.T) {
	e := &engine{things: everything()}
	addr, ended := start(t, e, &reaper{first: time.Minute, again: time.Minute})
	first := dial(t, addr)
	say(t, first, "label=a=b")
	first.Close()
	second := dial(t, addr)
	say(t, second, "label=a=b")
	select {
	case err := <-ended:
		t.Fatalf("it ended with a client there: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.things) != 4 {
		t.Errorf("left: %v", e.things)
	}
}

// TestNothingToReap: what nobody described stays.
func TestNothingToReap(t *testing.T) {
	e := &engine{things: everything()}
	addr, ended := start(t, e, &reaper{first: 200 * time.Millisecond, again: time.Millisecond})
	for _, line := range []string{"", "x=y", "label=a;=%", "&"} {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, line+"\n"); err != nil {
			continue // it ended
		}
		conn.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(e.things) != 4 {
		t.Errorf("left: %v", e.things)
	}
}

func TestCannotReap(t *testing.T) {
	e := &engine{things: everything(), stubs: 1000}
	addr, ended := start(t, e, &reaper{first: time.Minute, again: time.Millisecond})
	conn := dial(t, addr)
	say(t, conn, "label=a=b")
	conn.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "it is in use") {
		t.Errorf("got %v", err)
	}
}
