package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/tcpproxy"
	"github.com/waxosuit/waxo/capability/messaging"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/emulators/nats"
)

// proxied puts a proxy before a server.
func proxied(t testing.TB, s *nats.Server) *tcpproxy.Proxy {
	t.Helper()
	p, err := tcpproxy.Start(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestServerComesBack: while the server is away calls fail at once, deliveries go
// on when it is back, and the log has a line for each.
func TestServerComesBack(t *testing.T) {
	s := start(t, nil)
	addr, got := s.Addr(), make(chan string, 100)
	g := guest(func(_ context.Context, m *pb.BrokerMessage) ([]byte, error) { got <- string(m.Body); return nil, nil })
	var log logged
	p := bind(t, s.URL(), g, &messaging.Options{Log: log.logger()}, map[string]string{"subscriptions": "news"})
	for round := range 2 {
		if err := publish(t.Context(), p, "news", "", "before"); err != nil {
			t.Fatal(err)
		}
		if text := receive(t, got, "a message"); text != "before" {
			t.Fatal(text)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the loss to be noticed", func() bool {
			begun := time.Now()
			err := publish(t.Context(), p, "news", "", "lost")
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("to fail took %v", took)
			}
			return errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) && strings.Contains(err.Error(), "there is no connection")
		})
		for range 200 { // each of them would be a line, if it were logged
			_, err := request(t.Context(), p, "news", "lost", 0)
			is(t, err, capability.CodeUnavailable, addr)
		}
		s = start(t, &nats.Options{Addr: addr})
		wait(t, "the connection to come back", func() bool { return publish(t.Context(), p, "news", "", "after") == nil })
		if text := receive(t, got, "a message"); text != "after" {
			t.Errorf("%q came, which was sent while there was no server", text)
		}
		wait(t, "the log", func() bool { return strings.Count(log.String(), "is back") == round+1 })
		if lines := strings.Count(log.String(), "\n"); lines != 2*(round+1) || strings.Count(log.String(), "is gone") != round+1 {
			t.Errorf("the log:\n%s", log.String())
		}
		for len(got) > 0 {
			<-got
		}
	}
}

// TestCutInTheMiddle: a request whose connection is cut fails then, not at its
// deadline, and is not asked twice.
func TestCutInTheMiddle(t *testing.T) {
	s := start(t, nil)
	proxy := proxied(t, s)
	p := bind(t, "nats://"+proxy.Addr(), nil, nil, nil)
	var asked atomic.Int32
	arrived := make(chan struct{}, 10)
	other := client(t, s.URL())
	if _, err := other.Subscribe("slow", func(*natsgo.Msg) { asked.Add(1); arrived <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := request(t.Context(), p, "slow", "", time.Hour)
		done <- err
	}()
	receive(t, arrived, "the request")
	proxy.Cut()
	is(t, receive(t, done, "the request to fail"), capability.CodeUnavailable, "was lost during the call", "open")
	proxy.Mend()
	wait(t, "the connection to come back", func() bool { return publish(t.Context(), p, "x", "", "") == nil })
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 1 {
		t.Errorf("it was asked %d times", asked.Load())
	}
}

// TestHangs: a server that says nothing costs a call its deadline, and the
// connection is given up after a while.
func TestHangs(t *testing.T) {
	s := start(t, nil)
	proxy := proxied(t, s)
	p := bind(t, "nats://"+proxy.Addr(), nil, nil, nil)
	if err := publish(t.Context(), p, "x", "", ""); err != nil {
		t.Fatal(err)
	}
	proxy.Hang(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	is(t, publish(ctx, p, "x", "", ""), capability.CodeDeadline, "did not answer within the deadline")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	proxy.Cut() // as the client does after two pings
	proxy.Hang(false)
	proxy.Mend()
	wait(t, "the connection to come back", func() bool { return publish(t.Context(), p, "x", "", "") == nil })
}

// TestOverload: a guest that does not keep up is not given everything, the host
// keeps no more than it may, and says so once.
func TestOverload(t *testing.T) {
	url := start(t, nil).URL()
	var seen atomic.Int32
	proceed := make(chan struct{})
	g := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) { <-proceed; seen.Add(1); return nil, nil })
	var log logged
	p := bind(t, url, g, &messaging.Options{Log: log.logger()}, map[string]string{"subscriptions": "flood"})
	other := client(t, url)
	const messages = 40_000
	for range messages {
		if err := other.Publish("flood", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := publish(t.Context(), p, "behind", "", "all of them"); err != nil {
		t.Fatal(err)
	}
	wait(t, "the log", func() bool { return strings.Contains(log.String(), "dropped") })
	close(proceed)
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := seen.Load(); n < 16_384 || n > 16_384+16+1 {
		t.Errorf("%d messages were delivered", n)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "subscription=flood") {
		t.Errorf("the log:\n%s", log.String())
	}
}

// TestGuestFails: that is logged once, not for each message, and the next message
// comes all the same.
func TestGuestFails(t *testing.T) {
	url := start(t, nil).URL()
	var seen atomic.Int32
	g := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) {
		seen.Add(1)
		return nil, &capability.Error{Code: capability.CodeTrap, Message: "out of order"}
	})
	var log logged
	bind(t, url, g, &messaging.Options{Log: log.logger()}, map[string]string{"subscriptions": "x"})
	other := client(t, url)
	const messages = 500
	for range messages {
		if err := other.Publish("x", nil); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "all messages", func() bool { return seen.Load() == messages })
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "trap: out of order") {
		t.Errorf("the log:\n%s", text)
	}
}

// TestUnbindWithoutServer: what was taken before the server went is delivered.
func TestUnbindWithoutServer(t *testing.T) {
	s := start(t, nil)
	const messages = 50
	var seen atomic.Int32
	begun, proceed := make(chan struct{}, messages), make(chan struct{})
	g := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) {
		begun <- struct{}{}
		<-proceed
		seen.Add(1)
		return nil, nil
	})
	p := bind(t, s.URL(), g, nil, map[string]string{"subscriptions": "x", "concurrency": "1"})
	for i := range messages {
		if err := publish(t.Context(), p, "x", "", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, begun, "a delivery")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the loss to be noticed", func() bool { return publish(t.Context(), p, "x", "", "") != nil })
	unbound := make(chan error)
	go func() { unbound <- p.Unbind(context.Background(), id) }()
	close(proceed)
	if err := receive(t, unbound, "Unbind"); err != nil {
		t.Error(err)
	}
	if seen.Load() != messages {
		t.Errorf("%d of %d messages were delivered", seen.Load(), messages)
	}
}
