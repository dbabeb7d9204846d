package eventstreams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/internal/tcpproxy"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/emulators/nats"
)

// TestServerComesBack: while the server is away calls fail at once, what was
// acknowledged is there afterwards and nothing else, delivery goes on, and the log
// has a line for each loss and each return.
func TestServerComesBack(t *testing.T) {
	dir := t.TempDir()
	s := start(t, &nats.Options{Dir: dir})
	addr := s.Addr()
	g, events := collect()
	var log logged
	p := bind(t, s.URL(), g, &eventstreams.Options{Log: log.logger()}, map[string]string{"deliver": "s"})
	var want []string
	for round := range 2 {
		want = append(want, fmt.Sprint("before ", round))
		mustWrite(t, p, "s", want[len(want)-1])
		if e := receive(t, events, "the event"); e.Values["v"] != want[len(want)-1] {
			t.Errorf("delivered %+v", e)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the loss to be noticed", func() bool {
			_, err := write(t.Context(), p, "s", "lost")
			return errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) && strings.Contains(err.Error(), "there is no connection")
		})
		for range 100 {
			_, err := write(t.Context(), p, "s", "lost")
			is(t, err, capability.CodeUnavailable, addr)
			_, err = query(t.Context(), p, &pb.StreamQuery{StreamID: "s"})
			is(t, err, capability.CodeUnavailable, addr)
		}
		s = start(t, &nats.Options{Addr: addr, Dir: dir})
		wait(t, "the connection to come back", func() bool {
			_, err := query(t.Context(), p, &pb.StreamQuery{StreamID: "s"})
			return err == nil
		})
	}
	if got := values(t, p, &pb.StreamQuery{StreamID: "s"}); !slices.Equal(got, want) {
		t.Errorf("there are the events %q, want %q", got, want)
	}
	mustWrite(t, p, "s", "after")
	if e := receive(t, events, "the event"); e.Values["v"] != "after" {
		t.Errorf("delivered %+v", e)
	}
	wait(t, "the log", func() bool { return strings.Count(log.String(), "is back") == 2 })
	if text := log.String(); strings.Count(text, "\n") != 4 || strings.Count(text, "is gone") != 2 {
		t.Errorf("the log:\n%s", text)
	}
}

// TestFaultyNetwork: a call ends with its deadline where the server says nothing,
// and when the connection is cut.
func TestFaultyNetwork(t *testing.T) {
	s := start(t, nil)
	proxy, err := tcpproxy.Start(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	p := bind(t, "nats://"+proxy.Addr(), nil, nil, nil)
	mustWrite(t, p, "s", "first")
	calls := map[string]func(context.Context) error{
		"write": func(ctx context.Context) error { _, err := write(ctx, p, "s", "x"); return err },
		"query": func(ctx context.Context) error {
			_, err := query(ctx, p, &pb.StreamQuery{StreamID: "s"})
			return err
		},
	}
	for name, call := range calls {
		proxy.Hang(true)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begun := time.Now()
		is(t, call(ctx), capability.CodeDeadline, "did not answer")
		cancel()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		done := make(chan error)
		go func() { done <- call(t.Context()) }()
		select {
		case err := <-done:
			t.Errorf("%s ended while nothing passed: %v", name, err)
		case <-time.After(20 * time.Millisecond):
		}
		proxy.Cut()
		is(t, receive(t, done, "the call to fail"), capability.CodeUnavailable, "was lost during the call")
		proxy.Hang(false)
		proxy.Mend()
		wait(t, "the connection to come back", func() bool { return call(t.Context()) == nil })
	}
}

// TestStallDuringAQuery: where nothing passes for longer than a client waits, the answer
// comes late, and it has all events.
func TestStallDuringAQuery(t *testing.T) {
	s := start(t, nil)
	direct := bind(t, s.URL(), nil, nil, nil)
	var want []string
	for i := range 1500 {
		want = append(want, fmt.Sprint(i, strings.Repeat("x", 1000)))
		mustWrite(t, direct, "s", want[i])
	}
	begun := time.Now()
	values(t, direct, &pb.StreamQuery{StreamID: "s"})
	took := time.Since(begun)
	for i := range 12 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			proxy, err := tcpproxy.Start(s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Close)
			p := bind(t, "nats://"+proxy.Addr(), nil, nil, nil)
			go func() {
				time.Sleep(took * time.Duration(i) / 10)
				proxy.Hang(true)
				time.Sleep(stall)
				proxy.Hang(false)
			}()
			if got := values(t, p, &pb.StreamQuery{StreamID: "s"}); !slices.Equal(got, want) {
				t.Errorf("%d events of %d", len(got), len(want))
			}
		})
	}
}

// stall is longer than the client of NATS waits for an answer to a pull.
const stall = 1300 * time.Millisecond

// TestServerStartsAnew: a server that has lost everything is as good as an empty
// one, for those that are bound already.
func TestServerStartsAnew(t *testing.T) {
	s := start(t, nil)
	addr := s.Addr()
	g, events := collect()
	p := bind(t, s.URL(), g, nil, map[string]string{"deliver": "s"})
	mustWrite(t, p, "s", "before")
	receive(t, events, "the event")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the loss to be noticed", func() bool { _, err := write(t.Context(), p, "s", "lost"); return err != nil })
	start(t, &nats.Options{Addr: addr})
	wait(t, "the connection to come back", func() bool {
		found, err := query(t.Context(), p, &pb.StreamQuery{StreamID: "s"})
		return err == nil && len(found) == 0
	})
	if id := mustWrite(t, p, "s", "after"); id != "1" {
		t.Errorf("the first event has the id %s", id)
	}
	if e := receive(t, events, "the event"); e.Values["v"] != "after" {
		t.Errorf("delivered %+v", e)
	}
}
