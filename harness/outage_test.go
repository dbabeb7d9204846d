package harness_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/harness"
	"github.com/waxosuit/waxo/harness/containers"
)

var outage = flag.Duration("outage", 3*time.Second, "how long the services of the tests of outages are away")

const (
	clients = 8
	pace    = 5 * time.Millisecond // between two requests of a client
)

// answer is what a client got.
type answer struct {
	path   string
	begun  time.Time
	took   time.Duration
	status int
	text   string
	err    error
}

func (a answer) ended() time.Time { return a.begun.Add(a.took) }

// load has clients post on and on.
type load struct {
	stop context.CancelFunc
	over sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

// startLoad starts the clients. path is where the request of a number goes.
func startLoad(t *testing.T, address string, path func(n int) string) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: time.Minute}
	for c := range clients {
		l.over.Go(func() {
			next := time.NewTicker(pace)
			defer next.Stop()
			for n := c; ctx.Err() == nil; n += clients {
				l.note(one(client, address, path(n)))
				<-next.C
			}
		})
	}
	t.Cleanup(func() { l.end(); client.CloseIdleConnections() })
	return l
}

// one makes a request, whose end the end of the load does not bring about.
func one(client *http.Client, address, path string) answer {
	a := answer{path: path, begun: time.Now()}
	response, err := client.Post(address+path, "", nil)
	if err == nil {
		a.status = response.StatusCode
		var text []byte
		text, err = io.ReadAll(response.Body)
		response.Body.Close()
		a.text = string(text)
	}
	a.took, a.err = time.Since(a.begun), err
	return a
}

func (l *load) note(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, a)
}

// end stops the clients, and returns when they have their answers.
func (l *load) end() []answer {
	l.stop()
	l.over.Wait()
	return l.answers
}

// count is how many answers match.
func (l *load) count(matches func(answer) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.answers {
		if matches(a) {
			n++
		}
	}
	return n
}

func (a answer) ok() bool { return a.err == nil && a.status == http.StatusOK }

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		<-look.C
	}
}

// appendManifest appends to the manifest of a project.
func appendManifest(t *testing.T, dir, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "waxo.toml"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

// TestRedisStops: while Redis is away, the host answers 502 in good time; when it is
// back, the guest serves within a second. No request is counted twice.
func TestRedisStops(t *testing.T) {
	needEngine(t)
	t.Parallel()
	const callTimeout = 15 * time.Second
	redis, err := containers.Redis(t.Context(), nil)
	must(t, err)
	t.Cleanup(func() { redis.Close(context.Background()) }) //nolint:errcheck // the reaper takes it
	dir := counter(t)
	appendManifest(t, dir, fmt.Sprintf("\n[limits]\ncall_timeout = %q\n", callTimeout))
	g := harness.Start(t, &harness.Options{
		Project: dir, Services: map[string]string{capability.KeyValue: redis.URL()},
		Log: slog.New(slog.DiscardHandler), // a line for each failure
	})
	must(t, g.Compiled(t.Context()))
	l := startLoad(t, g.URL(), func(int) string { return "/" })
	eventually(t, "the guest counts", func() bool { return l.count(answer.ok) >= 200 })

	must(t, redis.Stop(t.Context()))
	gone := time.Now()
	timer := time.NewTimer(*outage)
	<-timer.C
	away := time.Now()
	var returned time.Time
	var back sync.WaitGroup
	back.Go(func() {
		if returned = whenRedisAnswers(t.Context(), redis.Addr()); !returned.IsZero() {
			l.note(one(http.DefaultClient, g.URL(), "/")) // a client that comes just now
		}
	})
	must(t, redis.Start(t.Context()))
	back.Wait()
	after := func(a answer) bool { return a.ok() && a.ended().After(returned) }
	eventually(t, "the guest counts again", func() bool { return l.count(after) >= 200 })
	o := redisOutage{gone: gone, away: away, returned: returned}
	o.count(t, l.end())
	t.Logf("away for %v: %d requests served, %d answered 502 (%d of them while it was away), the slowest after %v; served again %v after Redis answered",
		away.Sub(gone).Round(time.Millisecond), o.served, o.failed, o.during, o.slowest.Round(time.Millisecond), o.recovery.Round(time.Millisecond))
	if o.during == 0 {
		t.Error("no request was made while Redis was away")
	}
	if o.slowest >= callTimeout {
		t.Errorf("an answer took %v, with a deadline of %v", o.slowest, callTimeout)
	}
	if o.recovery > time.Second {
		t.Errorf("it served %v after Redis answered", o.recovery)
	}
	if count, err := strconv.Atoi(stored(t, redis.URL())); err != nil || count < o.served || count > o.served+o.failed {
		t.Errorf("the count is %d (%v); %d were acknowledged, %d failed", count, err, o.served, o.failed)
	}
}

// redisOutage is what clients saw of an outage.
type redisOutage struct {
	gone, away, returned time.Time // Redis had ended, was still away, answered again

	served, failed    int // requests
	during            int // of those that failed, begun and ended while it was away
	slowest, recovery time.Duration
}

func (o *redisOutage) count(t *testing.T, answers []answer) {
	t.Helper()
	first := time.Now()
	for _, a := range answers {
		within := a.begun.After(o.gone) && a.ended().Before(o.away)
		switch {
		case a.err != nil:
			t.Fatalf("the host is down: %v", a.err)
		case a.status == http.StatusOK:
			o.served++
			if within {
				t.Errorf("it counted without a Redis")
			}
			if a.ended().After(o.returned) && a.ended().Before(first) {
				first = a.ended()
			}
		case a.status == http.StatusBadGateway:
			o.failed++
			if within {
				o.during++
			}
		default:
			t.Errorf("after %v, %v after Redis went: %s", a.took, a.begun.Sub(o.gone), a.text)
		}
		o.slowest = max(o.slowest, a.took)
	}
	o.recovery = first.Sub(o.returned)
}

// whenRedisAnswers asks, without a wait for the answer to the question before, until
// one is answered, and returns when that was.
func whenRedisAnswers(ctx context.Context, addr string) time.Time {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan time.Time, 1)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		asking.Go(func() {
			if pings(ctx, addr) {
				select {
				case answered <- time.Now():
				default: // another one was faster
				}
			}
		})
		select {
		case at := <-answered:
			return at
		case <-ctx.Done():
			return time.Time{}
		case <-again.C:
		}
	}
}

func pings(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return false
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return false
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(text, "+PONG")
}

// ledger makes the project of testdata/ledger.
func ledger(t *testing.T, manifest string) string {
	t.Helper()
	dir := projectOf(t, "testdata/ledger")
	must(t, os.WriteFile(filepath.Join(dir, "waxo.toml"), []byte("name = \"ledger\"\nlanguage = \"go\"\n"+manifest), 0o600))
	return dir
}

// TestNATSLosesOne: while guests write and take events, of three servers the one that
// leads is killed. No event that was acknowledged is lost, all are delivered, and
// both go on.
func TestNATSLosesOne(t *testing.T) {
	needEngine(t)
	t.Parallel()
	cluster, err := containers.NATSCluster(t.Context(), nil)
	must(t, err)
	t.Cleanup(func() { cluster.Close(context.Background()) }) //nolint:errcheck // the reaper takes it
	start := func(manifest string) *harness.Guest {
		return harness.Start(t, &harness.Options{
			Project: ledger(t, manifest), Services: map[string]string{capability.EventStreams: cluster.URL()},
			Log: slog.New(slog.DiscardHandler), // a line for each failure
		})
	}
	writer := start(`
capabilities = ["wascap:http_server", "wascap:eventstreams"]
[[bind]]
capability = "wascap:eventstreams"
config = { replicas = "3" }
`)
	taker := start(`
capabilities = ["wascap:http_server", "wascap:eventstreams", "wascap:keyvalue"]
[[bind]]
capability = "wascap:eventstreams"
config = { replicas = "3", deliver = "ledger" }
`)
	must(t, errors.Join(writer.Compiled(t.Context()), taker.Compiled(t.Context())))
	l := startLoad(t, writer.URL(), func(n int) string { return "/" + strconv.Itoa(n) })
	eventually(t, "events are written", func() bool { return l.count(answer.ok) >= 200 })
	eventually(t, "events are delivered", func() bool { return len(entries(t, taker, "/given")) >= 100 })

	leader := leads(t, cluster)
	before := time.Now()
	must(t, cluster.Nodes[leader].Kill(t.Context()))
	killed := time.Now()
	after := func(a answer) bool { return a.ok() && a.begun.After(killed) }
	timer := time.NewTimer(*outage)
	<-timer.C
	eventually(t, "events are written with two servers", func() bool { return l.count(after) >= 200 })
	answers := l.end()

	acked, failed, gap := acknowledged(t, answers, before)
	written := entries(t, writer, "/written")
	for _, entry := range acked {
		if !written[entry] {
			t.Errorf("%s was acknowledged and is lost", entry)
		}
	}
	begun := time.Now()
	eventually(t, "all that was acknowledged is delivered", func() bool {
		given := entries(t, taker, "/given")
		return !slices.ContainsFunc(acked, func(entry string) bool { return !given[entry] })
	})
	t.Logf("the leader node%d of %d was killed: %d events were acknowledged, %d of them after that, %d writes failed; the longest time without one was %v; all were delivered %v after the last",
		leader, containers.ClusterSize, len(acked), l.count(after), failed, gap.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
}

// acknowledged are the entries that were, how many failed, and the longest time since
// a moment without one.
func acknowledged(t *testing.T, answers []answer, since time.Time) (entries []string, failed int, gap time.Duration) {
	t.Helper()
	slices.SortFunc(answers, func(a, b answer) int { return a.ended().Compare(b.ended()) })
	last := since
	for _, a := range answers {
		switch {
		case a.err != nil:
			t.Fatalf("the host is down: %v", a.err)
		case a.ok():
			entries = append(entries, strings.TrimPrefix(a.path, "/"))
			if a.ended().After(since) {
				gap, last = max(gap, a.ended().Sub(last)), a.ended()
			}
		default:
			failed++
			if a.status != http.StatusBadGateway { // in good time, not at its deadline
				t.Errorf("a write failed after %v with %s", a.took, a.text)
			}
		}
	}
	return entries, failed, gap
}

// entries are the lines that a guest answers.
func entries(t *testing.T, g *harness.Guest, path string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for entry := range strings.FieldsSeq(ask(t, g, path)) {
		found[entry] = true
	}
	return found
}

// leads is the number of the node that leads the stream of the events.
func leads(t *testing.T, cluster *containers.Cluster) (number int) {
	t.Helper()
	conn, err := nats.Connect(cluster.URL())
	must(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(t, err)
	stream, err := js.Stream(t.Context(), "WAXO_EVENTS_default")
	must(t, err)
	leader := stream.CachedInfo().Cluster.Leader
	if _, err := fmt.Sscanf(leader, "node%d", &number); err != nil {
		t.Fatalf("the leader is %q: %v", leader, err)
	}
	return number
}
