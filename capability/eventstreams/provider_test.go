package eventstreams_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// TestQueryLarge: an answer that would be too large is an error that says what to
// do, and what it says works.
func TestQueryLarge(t *testing.T) {
	url := start(t, nil).URL()
	p := bind(t, url, nil, nil, nil)
	big := strings.Repeat("x", 1<<20-100)
	for range 9 {
		mustWrite(t, p, "s", big)
	}
	_, err := query(t.Context(), p, &pb.StreamQuery{StreamID: "s"})
	is(t, err, capability.CodeTooLarge, "8388608 bytes", "shorter range", "count")
	if got := values(t, p, &pb.StreamQuery{StreamID: "s", Count: 7}); len(got) != 7 || got[6] != big {
		t.Errorf("%d events", len(got))
	}
	for range 1000 {
		mustWrite(t, p, "many", "x")
	}
	if got := values(t, p, &pb.StreamQuery{StreamID: "many"}); len(got) != 1000 {
		t.Errorf("%d events of 1000", len(got))
	}
	// What queries need on the server does not stay.
	info, err := client(t, url).Stream(t.Context(), "WAXO_EVENTS_default")
	if err != nil || info.CachedInfo().State.Consumers != 0 {
		t.Errorf("%+v, %v", info.CachedInfo().State, err)
	}
}

// TestSettings: what is kept on the server is as the binding asks for.
func TestSettings(t *testing.T) {
	url := start(t, nil).URL()
	js := client(t, url)
	look := func(prefix string) jetstream.StreamConfig {
		t.Helper()
		s, err := js.Stream(t.Context(), "WAXO_EVENTS_"+prefix)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config
	}
	try := func(config map[string]string) error {
		p := eventstreams.New(nil)
		defer p.Close(context.Background())
		all := map[string]string{"url": url}
		maps.Copy(all, config)
		return p.Bind(t.Context(), capability.Binding{BindingID: id, Config: all}, nil)
	}
	must := func(config map[string]string) {
		t.Helper()
		if err := try(config); err != nil {
			t.Fatal(err)
		}
	}
	must(nil)
	if c := look("default"); c.Storage != jetstream.FileStorage || c.MaxAge != 0 || c.MaxBytes != -1 || c.Replicas != 1 {
		t.Errorf("%+v", c)
	}
	must(map[string]string{"prefix": "m", "storage": "memory", "max_age": "1h", "max_bytes": "1000000"})
	if c := look("m"); c.Storage != jetstream.MemoryStorage || c.MaxAge != time.Hour || c.MaxBytes != 1_000_000 {
		t.Errorf("%+v", c)
	}
	must(map[string]string{"prefix": "m", "max_age": "2h"})
	if c := look("m"); c.Storage != jetstream.MemoryStorage || c.MaxAge != 2*time.Hour || c.MaxBytes != 1_000_000 {
		t.Errorf("after a change: %+v", c)
	}
	is(t, try(map[string]string{"prefix": "m", "storage": "file"}), capability.CodeInvalid, "cannot be changed", "another prefix")
	is(t, try(map[string]string{"replicas": "3"}), capability.CodeInvalid, "replicas > 1 not supported")
	is(t, try(map[string]string{"prefix": "r", "replicas": "3"}), capability.CodeInvalid, "replicas > 1 not supported")
}

// TestRetention: beyond max_bytes the oldest events go.
func TestRetention(t *testing.T) {
	p := bind(t, start(t, nil).URL(), nil, nil, map[string]string{"max_bytes": "20000"})
	for i := range 100 {
		mustWrite(t, p, "s", fmt.Sprintf("%d %01000d", i, 0))
	}
	got := values(t, p, &pb.StreamQuery{StreamID: "s"})
	if len(got) < 10 || len(got) > 20 || !strings.HasPrefix(got[len(got)-1], "99 ") {
		t.Errorf("%d events are left", len(got))
	}
}

// TestStateIsDeterministic: the same values are stored as the same bytes.
func TestStateIsDeterministic(t *testing.T) {
	url := start(t, nil).URL()
	p := bind(t, url, nil, nil, nil)
	stream, err := client(t, url).Stream(t.Context(), "WAXO_EVENTS_default")
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for i := range uint64(50) {
		event := pb.Event{EventID: fmt.Sprint(i), Stream: "s/ä", Values: map[string]string{"a": "1", "b": "2", "c": "3", "ä": "", "": "0"}}
		if _, err := call(t.Context(), p, capability.OpWriteEvent, &event); err != nil {
			t.Fatal(err)
		}
		msg, err := stream.GetMsg(t.Context(), i+1)
		if err != nil || msg.Subject != "$WAXO.EVENTS.default.s=2F=C3=A4" {
			t.Fatal(msg, err)
		}
		if first == nil {
			first = msg.Data
		}
		if string(msg.Data) != string(first) {
			t.Fatalf("%q and %q", first, msg.Data)
		}
	}
}

func TestBindings(t *testing.T) {
	url := start(t, nil).URL()
	p := eventstreams.New(nil)
	ctx := t.Context()
	binding := capability.Binding{BindingID: id, Config: map[string]string{"url": url, "deliver": "s"}}
	_, err := write(ctx, p, "x", "")
	is(t, err, capability.CodeUnavailable, "not bound", id.Guest)
	if err := p.Unbind(ctx, id); err != nil {
		t.Errorf("Unbind of what is not bound: %v", err)
	}
	g, _ := collect()
	for range 2 {
		if err := p.Bind(ctx, binding, g); err != nil {
			t.Fatal(err)
		}
		is(t, p.Bind(ctx, binding, g), capability.CodeConflict, "exists already")
		mustWrite(t, p, "x", "")
		if err := p.Unbind(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if err := p.Bind(ctx, binding, g); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	is(t, p.Bind(ctx, binding, g), capability.CodeUnavailable, "closed")
}

func TestCloseLeavesNothing(t *testing.T) {
	url := start(t, nil).URL()
	p := eventstreams.New(nil)
	g, events := collect()
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url, "deliver": "s"}}, g); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		mustWrite(t, p, "s", "x")
		receive(t, events, "the event")
	}
	values(t, p, &pb.StreamQuery{StreamID: "s"})
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, "the goroutines to end", func() bool { return !running("/nats%2ego.(", "/capability/eventstreams.(", "/natsconn.(") })
}

// running tells whether a goroutine runs what one of the names leads, other than
// the test's own.
func running(names ...string) bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		for _, name := range names {
			if strings.Contains(stack, name) && !strings.Contains(stack, "_test.TestCloseLeavesNothing") {
				return true
			}
		}
	}
	return false
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"uri": "nats://127.0.0.1"}, `no configuration key "uri": there are url,`},
		{map[string]string{"url": "http://secret@127.0.0.1:4222"}, "is no URL of a NATS server"},
		{map[string]string{"deliver": "a,%zz"}, "two hexadecimal digits"},
		{map[string]string{"deliver": "a,*"}, "stands alone"},
		{map[string]string{"deliver": "%ff"}, "not UTF-8"},
		{map[string]string{"deliver": strings.Repeat("x", 257)}, "may have 256"},
		{map[string]string{"from": "yesterday"}, `"all" or "new"`},
		{map[string]string{"concurrency": "0"}, "from 1 to 1024"},
		{map[string]string{"prefix": ""}, "must be of 1 to 64"},
		{map[string]string{"prefix": "a.b"}, "must be of 1 to 64"},
		{map[string]string{"prefix": strings.Repeat("x", 65)}, "must be of 1 to 64"},
		{map[string]string{"storage": "tape"}, `"file" or "memory"`},
		{map[string]string{"replicas": "2"}, "1, 3 or 5"},
		{map[string]string{"replicas": "7"}, "from 1 to 5"},
		{map[string]string{"max_age": "10ms"}, "at least a second"},
		{map[string]string{"max_age": "a week"}, "at least a second"},
		{map[string]string{"max_bytes": "1 GiB"}, "max_bytes"},
		{map[string]string{"client_jwt": "secret"}, "belong together"},
	} {
		err := eventstreams.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: c.config}, nil)
		is(t, err, capability.CodeInvalid, c.want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: the error shows the password: %v", c.config, err)
		}
	}
}

func TestServerIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	err = eventstreams.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": "nats://" + addr}}, nil)
	is(t, err, capability.CodeUnavailable, addr, "start it")

	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not answer")
	}
	err = eventstreams.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": s.ClientURL()}}, nil)
	is(t, err, capability.CodeUnavailable, "has no JetStream", "-js")
}

func TestDescribe(t *testing.T) {
	d := eventstreams.New(nil).Describe()
	if d.Capability != capability.EventStreams || d.Name == "" || !slices.Equal(d.Operations, []string{capability.OpWriteEvent, capability.OpQueryStream}) {
		t.Errorf("%+v", d)
	}
}
