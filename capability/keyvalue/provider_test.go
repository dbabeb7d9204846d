package keyvalue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// fake is a server that answers as a test wants: an answer of "" breaks the
// connection.
type fake struct {
	url   string
	calls atomic.Int32 // commands that the client did not send for itself
}

func newFake(t *testing.T, answer func(call int32, command string) string) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	f := &fake{url: "redis://" + listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(conn, answer)
		}
	}()
	return f
}

func (f *fake) serve(conn net.Conn, answer func(int32, string) string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	line := func() string { s, _ := r.ReadString('\n'); return strings.TrimRight(s, "\r\n") }
	for {
		n, err := strconv.Atoi(strings.TrimPrefix(line(), "*"))
		if err != nil {
			return
		}
		var words []string
		for range n {
			line() // the length: no word here has a line break
			words = append(words, line())
		}
		var reply string
		switch words[0] {
		case "hello":
			reply = "-ERR unknown command\r\n"
		case "ping":
			reply = "+PONG\r\n"
		default:
			reply = answer(f.calls.Add(1), words[0])
		}
		if reply == "" {
			return
		}
		io.WriteString(conn, reply)
	}
}

// is fails the test unless err has a code and its text some words.
func is(t *testing.T, err error, code capability.Code, words ...string) {
	t.Helper()
	if !errors.Is(err, &capability.Error{Code: code}) {
		t.Errorf("error %v, want one of %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want one with %q", err, w)
		}
	}
}

func TestBindings(t *testing.T) {
	url := embedded(t)
	p := keyvalue.New(nil)
	ctx := t.Context()
	binding := capability.Binding{BindingID: id, Config: map[string]string{"url": url}}

	_, err := call(ctx, p, get, &pb.GetRequest{Key: "k"})
	is(t, err, capability.CodeUnavailable, "not bound", id.Guest)
	for range 2 {
		if err := p.Unbind(ctx, id); err != nil {
			t.Errorf("Unbind of what is not bound: %v", err)
		}
	}
	for range 2 {
		if err := p.Bind(ctx, binding, nil); err != nil {
			t.Fatal(err)
		}
		is(t, p.Bind(ctx, binding, nil), capability.CodeConflict, "exists already")
		if _, err := call(ctx, p, get, &pb.GetRequest{Key: "k"}); err != nil {
			t.Error(err)
		}
		if err := p.Unbind(ctx, id); err != nil {
			t.Error(err)
		}
		_, err = call(ctx, p, get, &pb.GetRequest{Key: "k"})
		is(t, err, capability.CodeUnavailable)
	}
	if err := p.Bind(ctx, binding, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	_, err = call(ctx, p, get, &pb.GetRequest{Key: "k"})
	is(t, err, capability.CodeUnavailable)
	is(t, p.Bind(ctx, binding, nil), capability.CodeUnavailable, "closed")
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"uri": "redis://127.0.0.1"}, `no configuration key "uri"`},
		{map[string]string{"url": "127.0.0.1:6379"}, "is no URL of a Redis server"},
		{map[string]string{"url": "http://127.0.0.1:6379"}, "is no URL of a Redis server"},
		{map[string]string{"url": "redis://:secret@127.0.0.1:port"}, "is no URL of a Redis server"},
		{map[string]string{"url": "secret://secret:secret"}, "is no URL of a Redis server"},
		{map[string]string{"url": "redis://:secret@127.0.0.1/0?colour=red"}, "colour"},
		{map[string]string{"url": "redis://:secret@127.0.0.1/first"}, "database"},
	} {
		err := keyvalue.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: c.config}, nil)
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
	bindTo := func(opts *keyvalue.Options) error {
		config := map[string]string{"url": "redis://user:secret@" + addr}
		return keyvalue.New(opts).Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil)
	}
	begun := time.Now()
	// The system takes the connection, and nobody ever answers.
	err = bindTo(&keyvalue.Options{BindTimeout: 50 * time.Millisecond})
	is(t, err, capability.CodeUnavailable, addr, "no answer in time", "start it")
	listener.Close()
	err = bindTo(nil)
	is(t, err, capability.CodeUnavailable, addr, "refused", "start it")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("to find that out took %v", took)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestServerRefuses(t *testing.T) {
	f := newFake(t, func(int32, string) string { return "-WRONGPASS invalid username-password pair\r\n" })
	config := map[string]string{"url": strings.Replace(f.url, "//", "//:secret@", 1)}
	err := keyvalue.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil)
	is(t, err, capability.CodeInvalid, "WRONGPASS", "check the url")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestBadCalls(t *testing.T) {
	p := bind(t, embedded(t))
	_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: "Flush"})
	is(t, err, capability.CodeUnsupported, `"Flush"`)
	for _, op := range p.Describe().Operations {
		for _, payload := range []string{"\x0a\x05k", "\x0a\x01\xff", "\x00", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"} {
			_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: op, Payload: []byte(payload)})
			is(t, err, capability.CodeInvalid, "cannot be decoded")
		}
	}
}

// TestNothingIsDoneTwice: where the answer gets lost, what changes something is
// not sent again, and what reads is, once.
func TestNothingIsDoneTwice(t *testing.T) {
	for _, c := range []struct {
		op   string
		req  request
		want int32
	}{
		{set, &pb.SetRequest{Key: "k", Value: "v"}, 1}, {del, &pb.DelRequest{Key: "k"}, 1}, {add, &pb.AddRequest{Key: "k", Value: 1}, 1},
		{push, &pb.ListPushRequest{Key: "k", Value: "v"}, 1}, {clr, &pb.ListClearRequest{Key: "k"}, 1},
		{drop, &pb.ListDelItemRequest{Key: "k", Value: "v"}, 1}, {sadd, &pb.SetAddRequest{Key: "k", Value: "v"}, 1}, {srem, &pb.SetRemoveRequest{Key: "k", Value: "v"}, 1},
		{get, &pb.GetRequest{Key: "k"}, 2}, {exists, &pb.KeyExistsQuery{Key: "k"}, 2}, {slice, &pb.ListRangeRequest{Key: "k"}, 2},
		{query, &pb.SetQueryRequest{Key: "k"}, 2}, {union, &pb.SetUnionRequest{Keys: []string{"k"}}, 2}, {sect, &pb.SetIntersectionRequest{Keys: []string{"k"}}, 2},
	} {
		f := newFake(t, func(int32, string) string { return "" })
		_, err := call(t.Context(), bind(t, f.url), c.op, c.req)
		is(t, err, capability.CodeUnavailable, "closed the connection")
		if got := f.calls.Load(); got != c.want {
			t.Errorf("%s was sent %d times, want %d", c.op, got, c.want)
		}
	}
	f := newFake(t, func(n int32, _ string) string { return []string{"", "$1\r\nv\r\n"}[n-1] })
	answer, err := call(t.Context(), bind(t, f.url), get, &pb.GetRequest{Key: "k"})
	if want := (&pb.GetResponse{Value: "v", Exists: true}).AppendProto(nil); err != nil || string(answer) != string(want) {
		t.Errorf("the second attempt to read: %q, %v", answer, err)
	}
}

func TestAnswersOfTheServer(t *testing.T) {
	for reply, want := range map[string]capability.Code{
		"-LOADING Redis is loading the dataset in memory\r\n": capability.CodeUnavailable,
		"-OOM command not allowed\r\n":                        capability.CodeUnavailable,
		"-NOPERM no permissions\r\n":                          capability.CodeInternal,
		"-ERR something\r\n":                                  capability.CodeInternal,
	} {
		f := newFake(t, func(int32, string) string { return reply })
		_, err := call(t.Context(), bind(t, f.url), set, &pb.SetRequest{Key: "k", Value: "v"})
		is(t, err, want, strings.TrimPrefix(strings.Fields(reply)[0], "-"))
	}
}

// TestDeadline: a call whose server says nothing ends when its time is up.
func TestDeadline(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	f := newFake(t, func(int32, string) string { <-hang; return "" })
	p := bind(t, f.url)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := call(ctx, p, add, &pb.AddRequest{Key: "k", Value: 1})
	is(t, err, capability.CodeDeadline, "did not answer")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = call(canceled, p, add, &pb.AddRequest{Key: "k", Value: 1})
	is(t, err, capability.CodeCanceled)
}

// TestAllAtOnce: as many calls as a guest has instances wait for no connection.
func TestAllAtOnce(t *testing.T) {
	const calls = 128
	var arrived atomic.Int32
	all := make(chan struct{})
	f := newFake(t, func(int32, string) string {
		if arrived.Add(1) == calls {
			close(all)
		}
		<-all
		return "$1\r\nv\r\n"
	})
	p := bind(t, f.url)
	done := make(chan error)
	for range calls {
		go func() {
			_, err := call(t.Context(), p, get, &pb.GetRequest{Key: "k"})
			done <- err
		}()
	}
	for range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestGivenUpWithoutConnection: a call that waits until others have no need of
// their connections ends as soon as its caller goes away.
func TestGivenUpWithoutConnection(t *testing.T) {
	arrived, hang := make(chan struct{}), make(chan struct{})
	f := newFake(t, func(int32, string) string { arrived <- struct{}{}; <-hang; return "$-1\r\n" })
	p := bind(t, f.url+"?pool_size=1")
	start := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := call(ctx, p, get, &pb.GetRequest{Key: "k"})
			done <- err
		}()
		return done
	}
	first := start(t.Context())
	<-arrived // it has the one connection that there is
	ctx, cancel := context.WithCancel(t.Context())
	second := start(ctx)
	select {
	case err := <-second:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	begun := time.Now()
	is(t, <-second, capability.CodeCanceled)
	if took := time.Since(begun); took > time.Second { // the client itself waits for 4 s
		t.Errorf("it took %v", took)
	}
	close(hang)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestUnbindWaits: a call in hand is finished first, within the time there is.
func TestUnbindWaits(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	f := newFake(t, func(int32, string) string {
		arrived <- struct{}{}
		<-proceed
		return ":1\r\n"
	})
	p := bind(t, f.url)
	done := make(chan error)
	go func() {
		_, err := call(context.Background(), p, push, &pb.ListPushRequest{Key: "k"})
		done <- err
	}()
	<-arrived
	unbound := make(chan error)
	go func() { unbound <- p.Unbind(context.Background(), id) }()
	wait(t, "the binding to go", func() bool {
		_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: "none"})
		return errors.Is(err, &capability.Error{Code: capability.CodeUnavailable})
	})
	select {
	case err := <-unbound:
		t.Fatalf("Unbind returned with a call in hand: %v", err)
	default:
	}
	close(proceed)
	if err := <-done; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
	if err := <-unbound; err != nil {
		t.Error(err)
	}
}

func TestUnbindHasADeadline(t *testing.T) {
	arrived, hang := make(chan struct{}), make(chan struct{})
	defer close(hang)
	f := newFake(t, func(int32, string) string { close(arrived); <-hang; return "" })
	p := bind(t, f.url)
	done := make(chan error)
	go func() {
		_, err := call(context.Background(), p, push, &pb.ListPushRequest{Key: "k"})
		done <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	is(t, p.Unbind(ctx, id), capability.CodeDeadline)
	is(t, <-done, capability.CodeUnavailable) // its client was closed
}

// TestPrefix: guests that share a database do not see each other's keys. The
// suite gives each of its guests a prefix.
func TestPrefix(t *testing.T) {
	url := embedded(t)
	c := client(t, url)
	others := []string{"k", "l", "n", "s", "t", "v", "a", "b", "c", ""}
	for _, key := range others {
		do(t, c, "HSET", key, "in the way", "of whoever forgets the prefix")
	}
	p := keyvalue.New(nil)
	defer p.Close(context.Background())
	results, err := parity.KeyValue().Run(t.Context(), parity.Target{Name: "embedded", Provider: p, Config: map[string]string{"url": url, "prefix": parity.NamePlaceholder}, Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if len(r.Failures) > 0 {
			t.Errorf("%s: %s", r.Case, r.Failures[0])
		}
	}
	for _, key := range do(t, c, "KEYS", "*").([]any) {
		if k := fmt.Sprint(key); !slices.Contains(others, k) && !regexp.MustCompile(`^p[0-9a-f]{10}-`).MatchString(k) {
			t.Errorf("left the key %q outside of its prefix", k)
		}
	}
}

func TestDescribe(t *testing.T) {
	d := keyvalue.New(nil).Describe()
	if d.Capability != capability.KeyValue || d.Name == "" || len(d.Operations) != 14 {
		t.Errorf("%+v", d)
	}
}
