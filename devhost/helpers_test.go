package devhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

// signer makes signed variants of the test guest, all of one module.
type signer struct {
	t               testing.TB
	account, module *wascap.KeyPair
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	s := &signer{t: t}
	var err error
	if s.account, err = wascap.Generate(wascap.Account); err != nil {
		t.Fatal(err)
	}
	if s.module, err = wascap.Generate(wascap.Module); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *signer) identity() Identity {
	return Identity{Key: s.module.PublicKey().String(), Name: "tester"}
}

// version is the test guest that answers version, of eight bytes.
func version(v string) []byte {
	return bytes.Replace(guestModule, []byte("VERSION0"), []byte(v), 1)
}

// unwell is the test guest with a health that fails.
func unwell() []byte {
	return bytes.Replace(guestModule, []byte("WELL"), []byte("SICK"), 1)
}

func (s *signer) sign(module []byte, edit func(*wascap.Claims), capabilities ...string) []byte {
	s.t.Helper()
	claims := wascap.Claims{Subject: s.module.PublicKey().String(), Name: "tester", Capabilities: capabilities}
	if edit != nil {
		edit(&claims)
	}
	signed, err := wascap.Sign(module, claims, s.account, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// recorder is a provider that remembers what reached it.
type recorder struct {
	capability string
	operations []string
	fail       error  // what Call answers
	refuse     string // Bind fails for this configuration "value"

	mu         sync.Mutex
	calls      []capability.Call
	bound      map[capability.BindingID]string
	log        *[]string
	dispatcher capability.Dispatcher
}

func (r *recorder) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: r.capability, Name: "recorder", Operations: r.operations}
}

func (r *recorder) Bind(_ context.Context, b capability.Binding, d capability.Dispatcher) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != "" && b.Config["value"] == r.refuse {
		return &capability.Error{Code: capability.CodeInvalid, Message: "refused"}
	}
	if r.bound == nil {
		r.bound = make(map[capability.BindingID]string)
	}
	r.bound[b.BindingID], r.dispatcher = b.Config["value"], d
	return nil
}

func (r *recorder) Call(_ context.Context, c capability.Call) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Payload = bytes.Clone(c.Payload)
	r.calls = append(r.calls, c)
	return append([]byte("got "), c.Payload...), r.fail
}

func (r *recorder) Unbind(_ context.Context, id capability.BindingID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.bound, id)
	if r.log != nil {
		*r.log = append(*r.log, r.capability)
	}
	return nil
}

func (r *recorder) Close(context.Context) error { return nil }

func newHost(t testing.TB, edit func(*Options)) *Host {
	t.Helper()
	engine, err := wapc.NewEngine(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := &Options{Engine: engine, Limits: Limits{Memory: 4 << 20, CallTimeout: 5 * time.Second}}
	if edit != nil {
		edit(opts)
	}
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Close(context.Background()), engine.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return h
}

// serve prepares and activates a signed module.
func serve(t testing.TB, h *Host, module []byte, build string) *Guest {
	t.Helper()
	g, err := h.Prepare(t.Context(), module, &PrepareOptions{Build: build})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Activate(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// hostCall is the request that makes the test guest call its host.
func hostCall(namespace, operation, payload string) []byte {
	return fmt.Appendf(nil, "c%c%s%c%s%s", len(namespace), namespace, len(operation), operation, payload)
}

func call(t testing.TB, h *Host, request []byte) (string, error) {
	t.Helper()
	reply, err := h.Call(t.Context(), capability.Core, "Test", request)
	return string(reply.Payload), err
}

func TestTestGuestsAreWhatTheirTextsSay(t *testing.T) {
	if _, err := exec.LookPath("wat2wasm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("wat2wasm of wabt is missing: bash .ci/install installs it")
		}
		t.Skip("wat2wasm of wabt is missing")
	}
	for _, name := range []string{"testdata/guest", "workbench/testdata/version"} {
		fresh := filepath.Join(t.TempDir(), "fresh.wasm")
		if out, err := exec.Command("wat2wasm", "--debug-names", name+".wat", "-o", fresh).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want, err := os.ReadFile(fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name + ".wasm")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.wasm is not what wat2wasm --debug-names makes of %s.wat: %v", name, name, err)
		}
	}
}
