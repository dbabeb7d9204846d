package workbench

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
)

//go:embed testdata/version.wasm
var versionModule []byte

// toolchain is the compiler of the projects below: it makes the module of the
// version that version.txt names, or complains.
const toolchain = `
version=$(cat version.txt)
if [ ${#version} -ne 8 ]; then
	echo "version.txt:1:1: a version has eight bytes, not \"$version\"" >&2
	exit 1
fi
[ ! -e slow ] || sleep 0.3
LC_ALL=C sed "s/VERSION0/$version/" version.wasm >out.wasm
`

// caller is a provider that calls the guest when the test wants it.
type caller struct {
	dispatcher atomic.Value // of capability.Dispatcher
	refuse     atomic.Bool
}

// offer is the caller as the provider of one capability.
type offer struct {
	*caller
	capability string
}

func (o offer) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: o.capability, Name: "caller"}
}

func (c *caller) Bind(_ context.Context, _ capability.Binding, d capability.Dispatcher) error {
	if c.refuse.Load() {
		return errors.New("the port is taken")
	}
	c.dispatcher.Store(d)
	return nil
}

func (c *caller) Call(context.Context, capability.Call) ([]byte, error) { return nil, nil }
func (c *caller) Unbind(context.Context, capability.BindingID) error    { return nil }
func (c *caller) Close(context.Context) error                           { return nil }

// call returns the version that answers and its label.
func (c *caller) call() (version, label string, err error) {
	reply, err := c.dispatcher.Load().(capability.Dispatcher).Dispatch(context.Background(), capability.OpHandleRequest, nil, nil)
	if err != nil {
		return "", reply.Build, err
	}
	return string(reply.Payload[len(reply.Payload)-8:]), reply.Build, nil
}

// bench is a workbench under test.
type bench struct {
	*Workbench
	t      *testing.T
	dir    string
	guest  *caller
	events chan Event
	stop   func()
	ended  chan error
}

const manifestText = `name = "tester"
version = "0.1.0"
language = "custom"
capabilities = ["wascap:http_server"]

[build]
command = ["sh", "build.sh"]
output = "out.wasm"
watch = ["*.txt"]
`

func start(t *testing.T, version string, edit ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), guest: &caller{}, events: make(chan Event, 10000), ended: make(chan error, 1)}
	b.write(manifest.FileName, manifestText)
	b.write("build.sh", toolchain)
	b.write("version.wasm", string(versionModule))
	b.write("version.txt", version)
	p, err := project.Open(b.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := wapc.NewEngine(nil)
	if err != nil {
		t.Fatal(err)
	}
	opts := &Options{
		Project: p, Engine: engine,
		Events: func(e Event) { b.events <- e },
		Connect: func(_ context.Context, m *manifest.Manifest) ([]devhost.Bind, error) {
			var binds []devhost.Bind
			for _, c := range m.Capabilities {
				config := map[string]string{"port": fmt.Sprint(m.Dev.Port)}
				binds = append(binds, devhost.Bind{Capability: c, Provider: offer{b.guest, c}, Config: config})
			}
			return binds, nil
		},
	}
	for _, f := range edit {
		f(opts)
	}
	b.Workbench, err = New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { b.ended <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-b.ended, engine.Close(context.Background())); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *bench) write(name, content string) {
	b.t.Helper()
	if err := project.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// wait returns the next event of the kind; a build that serves or fails while
// the other is waited for is an error.
func (b *bench) wait(kind Kind) Event {
	b.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e := <-b.events:
			if e.Kind == kind {
				return e
			}
			if e.Kind == KindServing || e.Kind == KindFailed {
				b.t.Fatalf("waiting for %s: %+v", kind, e)
			}
		case <-timeout:
			b.t.Fatalf("no event of kind %s", kind)
		}
	}
}

func (b *bench) expect(version string) {
	b.t.Helper()
	if got, label, err := b.guest.call(); got != version || err != nil {
		b.t.Fatalf("%q (%s) answers, %v; want %q", got, label, err, version)
	}
}

// large adds functions to a module that take long to compile.
func large(t *testing.T, module []byte) []byte {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	c := wasm.NewCode(0)
	n := c.Local(wasm.I64)
	for i := range int64(300) {
		c.Get(n).I64(i).Op(wasm.OpI64Add).Set(n)
	}
	body, none := c.Body(), m.AddType(wasm.FuncType{})
	for range 1000 {
		m.Funcs, m.Code = append(m.Funcs, none), append(m.Code, body)
	}
	return m.Encode()
}

// TestInterpretedFirst: a build serves by the interpreter, and the compiled code
// that follows serves the same.
func TestInterpretedFirst(t *testing.T) {
	engine, err := wapc.NewEngine(&wapc.EngineOptions{InterpretFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close(context.Background()) })
	b := start(t, "first001", func(o *Options) {
		o.Engine = engine
		if err := os.WriteFile(filepath.Join(o.Project.Dir(), "version.wasm"), large(t, versionModule), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	for build, version := range []string{"first001", "second02"} {
		if build > 0 {
			b.write("version.txt", version)
		}
		e := b.wait(KindServing)
		b.expect(version)
		if e.Tier != "interpreted" || !slices.ContainsFunc(e.Phases, func(p Phase) bool { return p.Name == "interpret" }) {
			t.Errorf("the build serves %s: %v", e.Tier, e.Phases)
		}
		if c := b.wait(KindCompiled); c.Build != e.Build || c.Module != e.Module || c.Took < e.Took {
			t.Errorf("build %d, %s after %v, runs compiled: %+v", e.Build, e.Module, e.Took, c)
		}
		b.expect(version)
	}
}

func TestEveryChangeIsServed(t *testing.T) {
	b := start(t, "first001")
	e := b.wait(KindServing)
	b.expect("first001")
	var names []string
	for _, p := range e.Phases {
		names = append(names, p.Name)
	}
	if want := []string{"build", "seal", "sign", "verify", "hash", "cache", "prepare", "compile", "start", "health", "swap"}; !slices.Equal(names, want) {
		t.Errorf("phases %v, want %v", names, want)
	}
	b.write("version.txt", "second02")
	if e = b.wait(KindServing); e.Build < 2 || e.Phases[0].Name != "watch" {
		t.Errorf("got %+v", e)
	}
	b.expect("second02")
	kept, err := os.ReadFile(filepath.Join(b.dir, ".waxo", "build", "tester.wasm"))
	for err == nil && !bytes.Contains(kept, []byte("second02")) {
		runtime.Gosched() // it is kept after the event
		kept, err = os.ReadFile(filepath.Join(b.dir, ".waxo", "build", "tester.wasm"))
	}
	if err != nil {
		t.Error(err)
	}
}

func TestTheLastGoodBuildServesThroughFailures(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindServing)
	b.write("version.txt", "bad")
	e := b.wait(KindFailed)
	if e.Stage != "build" || !strings.Contains(e.Detail, `version.txt:1:1: a version has eight bytes, not "bad"`) {
		t.Errorf("got %+v", e)
	}
	if version, label, _ := b.guest.call(); version != "good0001" || !strings.HasSuffix(label, "; build 2 failed") {
		t.Errorf("%q answers as %q", version, label)
	}
	b.write("version.txt", "good0001")
	b.wait(KindUnchanged)
	if _, label, _ := b.guest.call(); strings.Contains(label, "failed") {
		t.Errorf("after mending the label is %q", label)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	b.write(manifest.FileName, string(text)+"nonsense = 1\n")
	if e = b.wait(KindFailed); e.Stage != "manifest" {
		t.Errorf("got %+v", e)
	}
	b.write("version.txt", "good0002")
	if e = b.wait(KindFailed); e.Stage != "manifest" {
		t.Errorf("a broken manifest was forgotten: %+v", e)
	}
	b.write(manifest.FileName, string(text))
	b.wait(KindServing)
	b.expect("good0002")
}

func TestAFirstBuildThatFailsIsToldToCallers(t *testing.T) {
	b := start(t, "bad")
	b.wait(KindFailed)
	_, label, err := b.guest.call()
	e := capability.AsError(err)
	if e == nil || e.Code != capability.CodeUnavailable || !strings.Contains(e.Detail, "version.txt:1:1") || label != "none; build 1 failed" {
		t.Errorf("label %q, error %+v", label, e)
	}
	b.write("version.txt", "good0001")
	b.wait(KindServing)
	b.expect("good0001")
}

func TestCapabilitiesOfTheManifestAreFollowed(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindServing)
	text, err := os.ReadFile(filepath.Join(b.dir, manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(text), `"wascap:http_server"`, `"wascap:http_server", "wascap:logging"`, 1)
	b.write(manifest.FileName, more)
	if e := b.wait(KindCapabilities); !slices.Equal(e.Added, []string{"wascap:logging"}) || e.Removed != nil {
		t.Errorf("got %+v", e)
	}
	b.wait(KindServing)
	if got := b.Host().Current().Claims().Capabilities; len(got) != 2 {
		t.Errorf("the claims hold %v", got)
	}
	b.guest.refuse.Store(true)
	b.write(manifest.FileName, string(text)+"\n[dev]\nport = 9999\n")
	if e := b.wait(KindFailed); e.Stage != "bind" || !strings.Contains(e.Message, "port is taken") {
		t.Errorf("got %+v", e)
	}
	b.guest.refuse.Store(false)
	b.write(manifest.FileName, string(text))
	b.wait(KindServing)
	b.expect("good0001")
	if got := b.Host().Current().Claims().Capabilities; len(got) != 1 {
		t.Errorf("the claims hold %v", got)
	}
}

// TestRebindLeavesTheGuest: bindings lead elsewhere when Connect says so, and the
// guest is the one before.
func TestRebindLeavesTheGuest(t *testing.T) {
	var place atomic.Int32
	b := start(t, "good0001", func(o *Options) {
		connect := o.Connect
		o.Connect = func(ctx context.Context, m *manifest.Manifest) ([]devhost.Bind, error) {
			binds, err := connect(ctx, m)
			if place.Load() < 0 {
				return nil, errors.New("that is nowhere")
			}
			binds[0].Config["url"] = fmt.Sprintf("redis://%d", place.Load())
			return binds, err
		}
		o.Environment = func(binds []devhost.Bind) []string { return []string{"WAXO_X_URL=" + binds[0].Config["url"]} }
		o.Prune = func(context.Context) error {
			place.Add(10)
			return nil
		}
	})
	b.wait(KindServing)
	before := b.Host().Current()
	for place.Load() == 0 {
		runtime.Gosched() // Prune follows the first build
	}
	if err := b.Rebind(t.Context()); err != nil {
		t.Error(err)
	}
	b.wait(KindUnchanged)
	for place.Load() == 10 {
		runtime.Gosched()
	}
	if b.Host().Current() != before {
		t.Error("another guest serves")
	}
	env, err := os.ReadFile(filepath.Join(b.dir, manifest.StateDir, "env"))
	if string(env) != "export WAXO_ENV_OF='"+b.dir+"'\nexport WAXO_X_URL='redis://10'\n" || err != nil {
		t.Errorf(".waxo/env holds %q (%v)", env, err)
	}
	place.Store(-1)
	if err := b.Rebind(t.Context()); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("bindings that cannot be made: %v", err)
	}
	b.wait(KindFailed)
	b.stop()
	if err := b.Rebind(t.Context()); !errors.Is(err, devhost.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, manifest.StateDir, "env")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf(".waxo/env outlives what it speaks of: %v", err)
	}
}

func TestRebuildMakesNewInstancesOfTheSameModule(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindServing)
	before := b.Host().Current()
	for idle := time.Now(); time.Since(idle) < 50*time.Millisecond; {
		b.expect("good0001")
	}
	asked := time.Now()
	b.Rebuild()
	if e := b.wait(KindServing); e.Took > time.Since(asked) {
		t.Errorf("it says that it took %v, but was asked %v ago", e.Took, time.Since(asked))
	}
	if b.Host().Current() == before {
		t.Error("the same guest serves")
	}
}

func TestARebuildThatWasOvertakenIsNotForgotten(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindServing)
	b.write("slow", "") // no source: it is not watched
	b.Rebuild()
	b.wait(KindBuilding)
	b.write("version.txt", "good0001\n")
	b.wait(KindServing)
}

func TestClaimsAreRenewedBeforeTheyEnd(t *testing.T) {
	var later atomic.Int64
	b := start(t, "good0001", func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	b.wait(KindServing)
	b.write("other.txt", "1")
	b.wait(KindUnchanged)
	later.Store(int64(project.DevLifetime/2 + time.Minute))
	b.write("other.txt", "2")
	b.wait(KindServing)
}

func TestAHundredSwapsUnderLoadLoseAndLeakNothing(t *testing.T) {
	b := start(t, "v0000000")
	b.wait(KindServing)
	var stop atomic.Bool
	var served atomic.Int64 // the version that serves, at least
	work := make(chan struct{})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range work {
				least := served.Load()
				version, label, err := b.guest.call()
				var got int64
				fmt.Sscanf(version, "v%07d", &got)
				if err != nil || got < least {
					t.Errorf("%q (%s) answers after %d served, %v", version, label, least, err)
					stop.Store(true)
				}
			}
		})
	}
	var goroutines, heap []int
	for i := int64(1); i <= 100 && !stop.Load(); i++ {
		var load sync.WaitGroup
		load.Go(func() {
			for range 500 {
				work <- struct{}{}
			}
		})
		if i%4 == 0 {
			b.write("version.txt", fmt.Sprintf("broken build %d", i))
			b.wait(KindFailed)
		}
		b.write("version.txt", fmt.Sprintf("v%07d", i))
		b.wait(KindServing)
		served.Store(i)
		load.Wait()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = append(heap, int(m.HeapAlloc))
		goroutines = append(goroutines, runtime.NumGoroutine())
	}
	close(work)
	wg.Wait()
	if t.Failed() {
		return
	}
	if early, late := slices.Min(goroutines[9:20]), slices.Min(goroutines[90:]); late > early+2 {
		t.Errorf("goroutines grew from %d to %d: %v", early, late, goroutines)
	}
	if early, late := slices.Min(heap[9:20]), slices.Min(heap[90:]); late > early+early/4 {
		t.Errorf("the heap grew from %d to %d bytes: %v", early, late, heap)
	}
}

func TestWhatNeverBeganDoesNotStop(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindServing)
	b.stop()
	b.guest.refuse.Store(true)
	var events []Event
	options := b.opts
	options.Events = func(e Event) { events = append(events, e) }
	w, err := New(&options)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v", err)
	}
	if len(events) > 0 {
		t.Errorf("the error says all, but it told %+v", events)
	}
}

func TestConstantWritesDoNotKeepBuildsFromEnding(t *testing.T) {
	for name, patience := range map[string]time.Duration{"patient": time.Hour, "impatient": 1} {
		t.Run(name, func(t *testing.T) {
			b := start(t, "good0001", func(o *Options) { o.Patience = patience })
			b.wait(KindServing)
			b.write("slow", "")
			b.write("version.txt", "good0002")
			first := b.wait(KindBuilding).Build
			b.write("version.txt", "good0003")
			if served := b.wait(KindServing).Build; (served == first) != (patience == 1) {
				t.Errorf("build %d began, build %d served", first, served)
			}
		})
	}
}

func TestTheEndIsCleanDuringABuild(t *testing.T) {
	b := start(t, "good0001")
	b.wait(KindBuilding)
	b.stop()
	if err := b.Host().Activate(nil); !errors.Is(err, devhost.ErrClosed) {
		t.Errorf("the host goes on: %v", err)
	}
}
