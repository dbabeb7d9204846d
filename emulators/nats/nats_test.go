package nats_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/emulators/nats"
)

// start runs a server for the test.
func start(t testing.TB, opts *nats.Options) *nats.Server {
	t.Helper()
	s, err := nats.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect makes a client of a server.
func connect(t testing.TB, s *nats.Server) jetstream.JetStream {
	t.Helper()
	conn, err := natsgo.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func makeStream(t testing.TB, js jetstream.JetStream, name string, storage jetstream.StorageType) jetstream.Stream {
	t.Helper()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: storage})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func publish(t testing.TB, js jetstream.JetStream, subject, text string) uint64 {
	t.Helper()
	ack, err := js.Publish(t.Context(), subject, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// text is the message of a stream at a sequence number.
func text(t testing.TB, js jetstream.JetStream, stream string, seq uint64) string {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatalf("message %d of %s: %v", seq, stream, err)
	}
	return string(msg.Data)
}

// wait polls until something holds, or fails the test.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestStartAndClose(t *testing.T) {
	s := start(t, nil)
	connect(t, s)
	host, _, err := net.SplitHostPort(s.Addr())
	if err != nil || host != "127.0.0.1" {
		t.Errorf("listens on %s, want 127.0.0.1 alone", s.Addr())
	}
	if want := "nats://" + s.Addr(); s.URL() != want {
		t.Errorf("URL %s, want %s", s.URL(), want)
	}
	_, err = nats.Start(t.Context(), &nats.Options{Addr: s.Addr()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("a second server on %s: %v, want an error with the address", s.Addr(), err)
	}
	addr := s.Addr()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := natsgo.Connect("nats://" + addr); err == nil {
		t.Error("there is still a server after Close")
	}
	again := start(t, &nats.Options{Addr: addr})
	if again.Addr() != addr {
		t.Errorf("listens on %s, was told %s", again.Addr(), addr)
	}
}

func TestBadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []*nats.Options{{Addr: "127.0.0.1"}, {Addr: "127.0.0.1:no port"}, {Addr: "192.0.2.1:0"}, {Dir: file}} {
		if s, err := nats.Start(t.Context(), opts); err == nil {
			s.Close()
			t.Errorf("%+v: no error", opts)
		}
	}
}

// TestCloseLeavesNothing: clients that wait, listen and lie idle do not keep
// the server, and neither a goroutine nor a temporary folder stays.
func TestCloseLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	before := runtime.NumGoroutine()
	s, err := nats.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"SUB > 1\r\nPING\r\n", "PING\r\n", ""} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		reader := bufio.NewReader(conn)
		if line, err := reader.ReadString('\n'); !strings.HasPrefix(line, "INFO ") {
			t.Fatal(line, err)
		}
		if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\n"+command); err != nil {
			t.Fatal(err)
		}
		if command != "" {
			if line, err := reader.ReadString('\n'); line != "PONG\r\n" {
				t.Fatal(line, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wait(t, "the server's goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStateSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	s := start(t, &nats.Options{Dir: dir})
	js := connect(t, s)
	stream := makeStream(t, js, "kept", jetstream.FileStorage)
	for i := range 5 {
		publish(t, js, "kept.x", fmt.Sprint("message ", i+1))
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "reader", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		msg, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	js = connect(t, start(t, &nats.Options{Dir: dir}))
	if got := text(t, js, "kept", 5); got != "message 5" {
		t.Errorf("after a restart, message 5 is %q", got)
	}
	consumer, err = js.Consumer(t.Context(), "kept", "reader")
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := consumer.Next(); err != nil || string(msg.Data()) != "message 4" {
		t.Errorf("after a restart, the consumer goes on with %v, %v", msg, err)
	}
	if seq := publish(t, js, "kept.x", "6"); seq != 6 {
		t.Errorf("the message after a restart has number %d", seq)
	}
}

func TestStateHasOneServer(t *testing.T) {
	dir := t.TempDir()
	s := start(t, &nats.Options{Dir: dir})
	_, err := nats.Start(t.Context(), &nats.Options{Dir: dir})
	var locked *nats.LockedError
	if !errors.As(err, &locked) || locked.Dir != dir || locked.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprint("in use by the process ", os.Getpid())) {
		t.Errorf("a second server: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, &nats.Options{Dir: dir})
}

// TestKilled: what was acknowledged is there after kill -9.
func TestKilled(t *testing.T) {
	const child = "WAXO_TEST_NATS_DIR"
	if dir := os.Getenv(child); dir != "" {
		s, err := nats.Start(t.Context(), &nats.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(s.URL())
		select {} // until it is killed
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), child+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := natsgo.Connect(strings.TrimSpace(url), natsgo.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, js, "kept", jetstream.FileStorage)
	const messages = 500
	for i := range messages {
		publish(t, js, "kept.x", fmt.Sprint(i+1))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	js = connect(t, start(t, &nats.Options{Dir: dir}))
	for _, seq := range []uint64{1, messages / 2, messages} {
		if got := text(t, js, "kept", seq); got != fmt.Sprint(seq) {
			t.Errorf("message %d is %q", seq, got)
		}
	}
}

// TestExport: a copy that is taken while messages come in has all that were
// acknowledged before, in one piece, and serves as a state.
func TestExport(t *testing.T) {
	s := start(t, &nats.Options{Dir: t.TempDir()})
	js := connect(t, s)
	stream := makeStream(t, js, "busy", jetstream.FileStorage)
	makeStream(t, js, "fleeting", jetstream.MemoryStorage)
	makeStream(t, js, "empty", jetstream.FileStorage)
	publish(t, js, "fleeting.x", "gone with the server")
	big := strings.Repeat("x", 300<<10) // a snapshot has more than one chunk
	for i := range 20 {
		publish(t, js, "busy.x", fmt.Sprint(i+1, " ", big))
	}
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "reader", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		msg, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan uint64)
	go func() {
		seq := uint64(20)
		for ctx.Err() == nil {
			if ack, err := js.Publish(ctx, "busy.x", fmt.Append(nil, seq+1)); err == nil {
				seq = ack.Sequence
			}
		}
		written <- seq
	}()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.Export(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	cancel()
	last := <-written
	checkCopy(t, copied, last)
	if got := text(t, js, "fleeting", 1); got != "gone with the server" {
		t.Errorf("after an export: %q", got)
	}
	if err := s.Export(t.Context(), copied); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("over an export: %v", err)
	}
}

func checkCopy(t *testing.T, dir string, last uint64) {
	t.Helper()
	js := connect(t, start(t, &nats.Options{Dir: dir}))
	stream, err := js.Stream(t.Context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	if state.FirstSeq != 1 || state.LastSeq < 20 || state.LastSeq > last+1 || state.Msgs != state.LastSeq {
		t.Fatalf("the copy has %+v, of up to %d", state, last)
	}
	t.Logf("copied %d of %d messages", state.Msgs, last)
	for seq := uint64(1); seq <= state.LastSeq; seq++ {
		if got, _, _ := strings.Cut(text(t, js, "busy", seq), " "); got != fmt.Sprint(seq) {
			t.Fatalf("message %d is %q", seq, got)
		}
	}
	consumer, err := stream.Consumer(t.Context(), "reader")
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := consumer.Next(); err != nil || !strings.HasPrefix(string(msg.Data()), "8 ") {
		t.Errorf("the consumer goes on with %.10q, %v", msg.Data(), err)
	}
	if seq := publish(t, js, "busy.x", "on"); seq != state.LastSeq+1 {
		t.Errorf("the next message has number %d, after %d", seq, state.LastSeq)
	}
	if _, err := js.Stream(t.Context(), "empty"); err != nil {
		t.Errorf("the empty stream: %v", err)
	}
	if _, err := js.Stream(t.Context(), "fleeting"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the stream in memory: %v", err)
	}
}

func TestExportEnds(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Export(ctx, filepath.Join(t.TempDir(), "copy")); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Export(t.Context(), filepath.Join(t.TempDir(), "copy")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}
