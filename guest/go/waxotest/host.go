// Package waxotest runs the handlers of a guest natively, under go test, against
// a host in memory.
//
//	func TestCount(t *testing.T) {
//		h := waxotest.New(t)
//		if resp := h.Do("POST", "/", ""); resp.Status != 200 {
//			t.Fatal(resp)
//		}
//	}
//
// Requests and host calls take the encoded way that they take in production, and
// errors have the same kinds. The guest is granted what its waxo.toml asks for
// and nothing else. Tests may call the packages of the SDK too, to prepare what
// the guest finds and to look at what it left: kv.Set, kv.Get.
//
// A guest keeps its handlers in package variables, so one host is installed at a
// time and tests that use it do not run in parallel.
package waxotest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/extras"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
	"github.com/waxosuit/waxo/guest/go/msg"
)

// Host is a host in memory. Each has stores of its own, a clock that stands still
// at 2020-01-01T00:00:00Z until it is told otherwise, and random numbers that are
// the same in every run.
type Host struct {
	t testing.TB

	mu       sync.Mutex
	granted  []string
	source   string // what granted them, for messages
	failures map[string]*waxo.Error
	now      time.Time
	stores   map[string]*store // by binding
	blobs    map[string]*blobStore
	sequence uint64
	random   *rand.Rand
	entries  []Entry
	console  []string
	outgoing func(Request) *Response

	downloads []download // to be delivered
	published []Message
	answering func(Message) (string, error)
	asked     int
	streams   map[string]*streams // by binding
}

// Entry is one entry of the log.
type Entry struct {
	Level string // "error", "warn", "info", "debug" or "trace"
	Text  string
}

// New installs a host until the test ends. It fails the test where another host is
// installed, or where the test runs in parallel.
func New(t testing.TB) *Host {
	t.Helper()
	mustBeAlone(t)
	h := &Host{
		t:        t,
		failures: make(map[string]*waxo.Error),
		now:      time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		stores:   make(map[string]*store),
		blobs:    make(map[string]*blobStore),
		streams:  make(map[string]*streams),
		random:   rand.New(rand.NewPCG(1, 2)),
	}
	var err error
	if h.granted, h.source, err = manifestCapabilities("."); err != nil {
		t.Fatal("waxotest: ", err)
	}
	if !abi.Install(service{h}) {
		t.Fatal("waxotest: another test has a host: a guest has one set of handlers, so such tests run one after the other, each with one New")
	}
	t.Cleanup(abi.Uninstall)
	return h
}

// mustBeAlone fails a test that runs in parallel. Package testing tells by
// refusing to set the environment of such a test; from then on it refuses
// t.Parallel as well.
func mustBeAlone(t testing.TB) {
	t.Helper()
	defer func() {
		if recover() != nil {
			t.Fatal("waxotest: this test or one that it is part of runs in parallel: a guest has one set of handlers, so leave t.Parallel out")
		}
	}()
	t.Setenv("WAXOTEST", "1")
}

// Grant sets the capabilities of the guest, in place of those of waxo.toml.
func (h *Host) Grant(capabilities ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.granted, h.source = slices.Clone(capabilities), "the test's Grant"
}

// Fail has every call of a capability fail with err, until it is called again
// with nil.
func (h *Host) Fail(capability string, err *waxo.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.failures, capability)
		return
	}
	h.failures[capability] = err
}

// SetTime sets the clock. The expiry of keys follows it.
func (h *Host) SetTime(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
}

// Advance moves the clock.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// Logs returns the entries of the log so far.
func (h *Host) Logs() []Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.entries)
}

// Console returns the lines of the console so far.
func (h *Host) Console() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.console)
}

// Health asks the guest whether it is well.
func (h *Host) Health() error {
	_, err := h.Call("wascap:httpsrv!HealthRequest", nil)
	return err
}

// Call has the guest handle an operation, such as "vendor:queue!Deliver". The
// error is a *waxo.Error; what the guest says without a kind is a waxo.ErrGuest.
func (h *Host) Call(operation string, payload []byte) ([]byte, error) {
	response, failure, ok := abi.Dispatch(operation, slices.Clone(payload))
	if ok {
		return slices.Clone(response), nil
	}
	err := waxo.ParseError(failure)
	if err.Code == "internal" && err.Message == failure {
		err.Code = "guest"
	}
	return nil, err
}

// service is the Host as package abi sees it.
type service struct{ h *Host }

func (s service) Console(line string) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.console = append(s.h.console, line)
	s.h.t.Log("console: " + line)
}

func (s service) Call(binding, capability, operation string, payload []byte) ([]byte, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.granted, capability) {
		return nil, &waxo.Error{Code: "denied", Message: fmt.Sprintf("%s needs the capability %q, which %s does not grant: add it to capabilities", operation, capability, h.source)}
	}
	if err := h.failures[capability]; err != nil {
		return nil, err
	}
	_, name, _ := strings.Cut(operation, "!")
	switch capability {
	case kv.Capability:
		if h.stores[binding] == nil {
			h.stores[binding] = newStore()
		}
		return h.stores[binding].call(name, payload, h.now)
	case blob.Capability:
		return h.blobCall(binding, name, payload)
	case log.Capability:
		return h.writeLog(name, payload)
	case clock.Capability:
		return h.tellTime(name)
	case extras.Capability:
		return h.generate(name, payload)
	case http.ClientCapability:
		return h.performRequest(name, payload)
	case msg.Capability:
		return h.message(binding, name, payload)
	case events.Capability:
		return h.streamsOf(binding).call(name, payload, h.now)
	}
	return nil, &waxo.Error{Code: "unsupported", Message: "waxotest has no capability " + capability}
}

func unsupported(operation string) error {
	return &waxo.Error{Code: "unsupported", Message: "there is no operation " + operation}
}
