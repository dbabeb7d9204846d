package providersuite

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/emulators/nats"
	"github.com/waxosuit/waxo/emulators/redis"
	"github.com/waxosuit/waxo/emulators/s3"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/testscripts/report"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "provider")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	services := []string{capability.KeyValue, capability.Messaging, capability.EventStreams, capability.Blobstore}
	for _, c := range []struct {
		text         string
		capabilities []string
		want         Target
	}{
		{"embedded:keyvalue", nil, Target{name: "embedded:keyvalue", provider: "embedded", capabilities: services[:1]}},
		{"embedded:wascap:keyvalue", nil, Target{name: "embedded:wascap:keyvalue", provider: "embedded", capabilities: services[:1]}},
		{"embedded", []string{"clock", "waxo:clock"}, Target{name: "embedded", provider: "embedded", capabilities: []string{capability.Clock, capability.Clock}}},
		{"container", nil, Target{name: "container", provider: "container", capabilities: services}},
		{"container:blobstore", nil, Target{name: "container:blobstore", provider: "container", capabilities: services[3:]}},
		{"container:keyvalue,registry:5000/redis:7", nil, Target{name: "container:keyvalue,registry:5000/redis:7", provider: "container", capabilities: services[:1], image: "registry:5000/redis:7"}},
		{"redis://u:secret@h/1", nil, Target{name: "redis://u:xxxxx@h/1", provider: "url", url: "redis://u:secret@h/1", capabilities: services[:1]}},
		{"nats://a:1,b:2", nil, Target{name: "nats://a:1,b:2", provider: "url", url: "nats://a:1,b:2", capabilities: services[1:3]}},
		{"nats://a", []string{"messaging"}, Target{name: "nats://a", provider: "url", url: "nats://a", capabilities: services[1:2]}},
		{"s3://k:s@h?region=r", nil, Target{name: "s3://k:xxxxx@h?region=r", provider: "url", url: "https://k:s@h?region=r", capabilities: services[3:]}},
		{file, nil, Target{name: file, provider: "plugin", path: file}},
		{file + ".jwt", []string{"vendor:thing"}, Target{name: file + ".jwt", provider: "plugin", path: file, capabilities: []string{"vendor:thing"}}},
		{folder, nil, Target{name: folder, provider: "plugin", path: folder, folder: true}},
	} {
		got, err := ParseTarget(c.text, c.capabilities)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if !slices.Equal(got.capabilities, c.want.capabilities) {
			t.Errorf("%s offers %q, want %q", c.text, got.capabilities, c.want.capabilities)
		}
		got.capabilities, c.want.capabilities = nil, nil
		if got.name != c.want.name || got.provider != c.want.provider || got.url != c.want.url || got.image != c.want.image || got.path != c.want.path || got.folder != c.want.folder {
			t.Errorf("%s is %+v, want %+v", c.text, got, c.want)
		}
	}
	for text, capabilities := range map[string][]string{
		"": nil, "embedded:": nil, "embedded:kv": nil, "container:clock": nil, "ftp://x": nil, "no/such/file": nil,
		"redis://x": {"messaging"}, "embedded": {"kv"}, "container": {"logging"},
	} {
		if got, err := ParseTarget(text, capabilities); !errors.Is(err, ErrTarget) {
			t.Errorf("%q with %q is %+v, %v", text, capabilities, got, err)
		}
	}
}

func target(t *testing.T, text string, capabilities ...string) *Target {
	t.Helper()
	target, err := ParseTarget(text, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// want fails where checks did, or where there are too few.
func want(t *testing.T, r *report.Report, err error, least int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if r.Count(report.Fail)+r.Count(report.Warn) > 0 || r.Count(report.Pass) < least {
		var b strings.Builder
		r.Text(&b)
		t.Errorf("%s", b.String())
	}
}

// TestEmbedded: everything inside of waxo conforms, and nothing is skipped.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), target(t, "embedded"), nil)
	want(t, r, err, 350)
	if r != nil && r.Count(report.Skip) > 0 {
		t.Errorf("%d checks were skipped", r.Count(report.Skip))
	}
}

// TestURLs: the services that somebody else keeps have nothing of the run in them
// when it is over.
func TestURLs(t *testing.T) {
	t.Parallel()
	store, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	broker, err := nats.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	objects, err := s3.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	for _, url := range []string{store.URL(), broker.URL(), objects.URL()} {
		r, err := Run(t.Context(), target(t, url), nil)
		want(t, r, err, 40)
	}
	left := t.TempDir()
	for name, export := range map[string]func(context.Context, string) error{"redis": store.Export, "nats": broker.Export, "s3": objects.Export} {
		dir := filepath.Join(left, name)
		base := dir
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if name == "redis" {
			base = filepath.Join(dir, "data")
		}
		if err := export(t.Context(), base); err != nil {
			t.Fatal(err)
		}
		filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || regexp.MustCompile(`p[0-9a-f]{10}-`).MatchString(path) {
				t.Errorf("%s: %v", path, err)
			}
			if content, err := os.ReadFile(path); err == nil {
				for _, key := range regexp.MustCompile(`p[0-9a-f]{10}-[\w.]*`).FindAllString(string(content), 5) {
					t.Errorf("%s has %q in it", path, key)
				}
			}
			return nil
		})
	}
}

// TestDifferences: what two targets do differently is told.
func TestDifferences(t *testing.T) {
	t.Parallel()
	some := &Options{Match: regexp.MustCompile("^keyvalue: (Set and Get|Push appends|expiry)$")}
	r, err := Compare(t.Context(), target(t, "embedded:keyvalue"), target(t, "embedded"), some)
	want(t, r, err, 9)
	if r != nil && len(r.Checks) != 9 {
		t.Errorf("%d checks", len(r.Checks))
	}
	a, b := target(t, "embedded:keyvalue"), target(t, "embedded:keyvalue")
	opts := &Options{}
	first, err := opts.open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := opts.open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t.Context(), slices.Concat(first, second))
	for _, f := range keyValueFaults() {
		if f.name == "Range leaves stop out" {
			second[0].target.Provider = &spoiled{second[0].target.Provider, f.spoil()}
		}
	}
	opts.Match = regexp.MustCompile("Range includes")
	outcomes, err := opts.play(t.Context(), [][]*opened{first, second})
	if err != nil {
		t.Fatal(err)
	}
	r = &report.Report{Checks: compared(outcomes, []string{"good", "bad"})}
	r.Settle()
	for name, status := range map[string]report.Status{"good": report.Pass, "bad": report.Fail, "both": report.Fail} {
		i := slices.IndexFunc(r.Checks, func(c report.Check) bool { return c.Name == name+" keyvalue: Range includes both ends" })
		if i < 0 || r.Checks[i].Status != status {
			t.Errorf("of %s: %+v", name, r.Checks)
		} else if name == "both" && (!strings.Contains(r.Checks[i].Log, "good:\n  Range") || !strings.Contains(r.Checks[i].Log, "bad:\n  Range")) {
			t.Errorf("the difference is told as %s", r.Checks[i].Log)
		}
	}
}

// TestUnreachable: what cannot be bound at all is one error, and not one of each case.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	for text, opts := range map[string]*Options{
		"redis://127.0.0.1:1": nil,
		"embedded:keyvalue":   {Config: map[string]string{"colour": "red"}},
		"container:keyvalue":  nil,
	} {
		if r, err := Run(t.Context(), target(t, text), opts); err == nil || r != nil {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	if _, err := Compare(t.Context(), target(t, "embedded:clock"), target(t, "embedded:extras"), nil); !errors.Is(err, ErrTarget) {
		t.Errorf("two targets that have nothing in common: %v", err)
	}
}

// TestPlugin: the provider of the template conforms as a plugin, as far as it goes.
func TestPlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "provider")
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", file, "github.com/waxosuit/waxo/templates/provider")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opts := &Options{Plugins: &plugin.Options{Development: true, StartTimeout: time.Minute}}
	for _, text := range []string{file, dir} {
		r, err := Run(t.Context(), target(t, text), opts)
		want(t, r, err, 40)
	}
	if _, err := Run(t.Context(), target(t, file, "clock"), opts); !errors.Is(err, ErrTarget) {
		t.Errorf("as another capability: %v", err)
	}
	if _, err := Run(t.Context(), target(t, file), nil); !errors.Is(err, plugin.ErrUnsigned) {
		t.Errorf("outside of development: %v", err)
	}
}

// TestContainers: the emulators and the real services do the same, by the way that
// the command takes.
func TestContainers(t *testing.T) {
	t.Parallel()
	companions := companion.NewClient(nil)
	defer func() {
		if err := companions.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	opts := &Options{Containers: func(ctx context.Context, capability, _, image string) (connect.Server, error) {
		service, err := companions.Start(ctx, companion.Request{Capability: capability, Image: image})
		if err != nil {
			return nil, err
		}
		return service, nil
	}}
	r, err := Compare(t.Context(), target(t, "embedded"), target(t, "container"), opts)
	if errors.Is(err, companion.ErrNoEngine) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	want(t, r, err, 600)
}
