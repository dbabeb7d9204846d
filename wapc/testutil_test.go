package wapc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/wapc"
)

// guest returns the bytes of a guest of testdata.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func engine(t testing.TB, opts *wapc.EngineOptions) *wapc.Engine {
	t.Helper()
	e, err := wapc.NewEngine(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	return e
}

func compile(t testing.TB, e *wapc.Engine, name string) *wapc.Module {
	t.Helper()
	m, err := e.Compile(t.Context(), guest(t, name))
	if err != nil {
		t.Fatalf("compile %s: %v", name, err)
	}
	return m
}

// pool returns a pool of a guest of testdata.
func pool(t testing.TB, name string, opts *wapc.PoolOptions) *wapc.Pool {
	t.Helper()
	p, err := compile(t, engine(t, nil), name).NewPool(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// as fails the test unless err itself is a T.
func as[T error](t testing.TB, err error) T {
	t.Helper()
	var target T
	if !errors.As(err, &target) {
		t.Fatalf("the error is a %T (%v), want a %T", err, err, target)
	}
	return target
}

func contains(t testing.TB, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Fatalf("%q does not contain %q", text, want)
	}
}

// host is a Host made of functions; those that are nil do nothing.
type host struct {
	call func(context.Context, wapc.HostCall) ([]byte, error)

	mu    sync.Mutex
	lines []string
	log   func(string)
}

func (h *host) HostCall(ctx context.Context, c wapc.HostCall) ([]byte, error) {
	if h.call == nil {
		return nil, nil
	}
	return h.call(ctx, c)
}

func (h *host) ConsoleLog(_ context.Context, line string) {
	if h.log != nil {
		h.log(line)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func (h *host) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// Where the puppet keeps things, and where it can be told to.
const (
	pageEnd   = 2 * 65536 // of the puppet's memory
	scriptAt  = 4096
	lastCall  = 8   // result of the last host call
	scratch   = 256 // free
	answerAt  = 65536
	maxUint32 = 0xffffffff
)

// script is a request for the puppet.
type script struct{ records, data bytes.Buffer }

// The puppet's codes.
const (
	end = iota
	request
	response
	guestError
	hostCall
	hostResponseLen
	hostResponse
	hostErrorLen
	hostError
	consoleLog
	crash
	grow
	spin
	deep
	branching
	responseOf
	errorOf
	growTable
	load
	fill
)

// dataAt is where the script's data comes to lie: scripts have 32 records at
// most.
const dataAt = scriptAt + 32*36

func (s *script) do(code uint32, args ...uint32) *script {
	record := make([]byte, 36)
	for i, v := range append([]uint32{code}, args...) {
		binary.LittleEndian.PutUint32(record[4*i:], v)
	}
	s.records.Write(record)
	return s
}

// text puts a text into the script's data and returns its place and length.
func (s *script) text(text string) []uint32 {
	at := uint32(dataAt + s.data.Len())
	s.data.WriteString(text)
	return []uint32{at, uint32(len(text))}
}

func (s *script) bytes() []byte {
	b := make([]byte, dataAt-scriptAt, dataAt-scriptAt+s.data.Len())
	copy(b, s.records.Bytes())
	return append(b, s.data.Bytes()...)
}

// called is a script that starts with a host call of these parts.
func called(parts ...string) *script {
	s := &script{}
	var args []uint32
	for _, part := range parts {
		args = append(args, s.text(part)...)
	}
	return s.do(hostCall, args...)
}

// run has a fresh puppet do a script.
func run(t testing.TB, opts *wapc.PoolOptions, s *script) ([]byte, error) {
	t.Helper()
	return pool(t, "puppet8", opts).Call(t.Context(), "op", s.bytes())
}

// tool returns the path of a program that a test needs. Where it is missing the
// test is skipped, in CI it fails.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", name)
	}
	t.Skipf("%s is missing: install wabt to run this test", name)
	return ""
}
