package connect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/emulators/redis"
)

// silent is a guest that answers 200 without a body.
type silent struct{}

func (silent) Dispatch(context.Context, string, []byte, []byte) (capability.Reply, error) {
	return capability.Reply{}, nil
}

var id = capability.BindingID{Guest: "MTEST", Name: capability.DefaultBinding}

func connections(t *testing.T, opts *connect.Options) *connect.Connections {
	t.Helper()
	c := connect.New(opts)
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// specs reads the [[bind]] tables of a manifest for a guest that may do anything.
func specs(t *testing.T, text string) []manifest.Bind {
	t.Helper()
	m, err := manifest.Parse([]byte("name = \"a\"\nlanguage = \"go\"\ncapabilities = [\"wascap:keyvalue\", \"wascap:http_server\"]\n"+text), "waxo.toml")
	if err != nil {
		t.Fatal(err)
	}
	return connect.Complete([]string{capability.KeyValue}, m.Binds, true)
}

func mustConnect(t *testing.T, c *connect.Connections, specs []manifest.Bind) []devhost.Bind {
	t.Helper()
	binds, err := c.Connect(t.Context(), connect.Settings{Address: "127.0.0.1:0"}, specs)
	if err != nil {
		t.Fatal(err)
	}
	return binds
}

func TestLimitsReachTheHTTPServer(t *testing.T) {
	c := connections(t, nil)
	for _, test := range []struct{ limit, status int }{{10, 413}, {11, 200}, {0, 200}, {10, 413}} {
		settings := connect.Settings{Address: "127.0.0.1:0", Limits: devhost.Limits{RequestBody: test.limit}}
		binds, err := c.Connect(t.Context(), settings, connect.Complete([]string{capability.HTTPServer}, nil, true))
		if err != nil {
			t.Fatal(err)
		}
		if c.HTTP(id) == "" {
			if err := binds[0].Provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: binds[0].Config}, silent{}); err != nil {
				t.Fatal(err)
			}
		}
		response, err := http.Post(c.HTTP(id), "text/plain", strings.NewReader("12345678901"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("with a limit of %d bytes the status is %d, want %d", test.limit, response.StatusCode, test.status)
		}
	}
}

func TestTheHTTPServerHasNoURL(t *testing.T) {
	c := connections(t, nil)
	bind := manifest.Bind{Capability: capability.HTTPServer, Name: "default", Provider: manifest.ProviderURL, URL: "http://127.0.0.1:9000"}
	if _, err := c.Connect(t.Context(), connect.Settings{}, []manifest.Bind{bind}); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a URL was taken and ignored: %v", err)
	}
	bind = manifest.Bind{Capability: capability.HTTPServer, Name: "default", Provider: manifest.ProviderEmbedded, Config: map[string]string{"address": "127.0.0.1:9"}}
	if binds := mustConnect(t, c, []manifest.Bind{bind}); binds[0].Config["address"] != "127.0.0.1:9" {
		t.Errorf("got %+v", binds)
	}
}

// container counts its life.
type container struct {
	*redis.Server
	alive *atomic.Int32
}

func (c container) Close(context.Context) error {
	c.alive.Add(-1)
	return c.Server.Close()
}

// TestThreeAddresses: one provider, whose address alone differs; what is not asked
// for any more ends with Prune and not before, and data in a folder outlives its
// server.
func TestThreeAddresses(t *testing.T) {
	var alive atomic.Int32
	dir := t.TempDir()
	c := connections(t, &connect.Options{
		Emulators: embedded.Start,
		State:     func() (string, error) { return dir, nil },
		Containers: func(ctx context.Context, capability, binding, image string) (connect.Server, error) {
			if image == "broken" {
				return nil, errors.New("it does not start")
			}
			s, err := redis.Start(ctx, nil)
			alive.Add(1)
			return container{s, &alive}, err
		},
	})
	outside, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()

	inProcess := mustConnect(t, c, specs(t, ""))
	set(t, inProcess[0], "embedded")
	again := mustConnect(t, c, specs(t, ""))
	if again[0].Provider != inProcess[0].Provider || again[0].Config["url"] != inProcess[0].Config["url"] {
		t.Errorf("what did not change is another now: %+v, %+v", inProcess, again)
	}
	inside := mustConnect(t, c, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"container\""))
	if inside[0].Provider != inProcess[0].Provider || inside[0].Config["url"] == inProcess[0].Config["url"] {
		t.Errorf("the container: %+v", inside)
	}
	get(t, inProcess[0], "embedded") // until Prune
	if err := c.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	get(t, inside[0], "")
	elsewhere := mustConnect(t, c, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"url\"\nurl = \""+outside.URL()+"\""))
	if elsewhere[0].Config["url"] != outside.URL() || alive.Load() != 1 {
		t.Errorf("at a URL: %+v, %d containers", elsewhere, alive.Load())
	}
	if err := c.Prune(t.Context()); err != nil || alive.Load() != 0 {
		t.Errorf("%d containers are left (%v)", alive.Load(), err)
	}
	_, err = c.Connect(t.Context(), connect.Settings{}, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"container\"\nimage = \"broken\""))
	if err == nil || err.Error() != "wascap:keyvalue: it does not start" {
		t.Errorf("a container that does not start: %v", err)
	}
	get(t, mustConnect(t, c, specs(t, ""))[0], "embedded")
}

// TestNamesAreApart: bindings of one capability have stores of their own.
func TestNamesAreApart(t *testing.T) {
	dir := t.TempDir()
	c := connections(t, &connect.Options{Emulators: embedded.Start, State: func() (string, error) { return dir, nil }})
	binds := mustConnect(t, c, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\n[[bind]]\ncapability = \"wascap:keyvalue\"\nname = \"cache\""))
	set(t, binds[0], "first")
	get(t, binds[1], "")
	set(t, binds[1], "second")
	get(t, binds[0], "first")
	want := []string{"WAXO_KEYVALUE_URL=" + binds[0].Config["url"], "WAXO_KEYVALUE_CACHE_URL=" + binds[1].Config["url"]}
	if got := c.Environment(binds); !slices.Equal(got, want) {
		t.Errorf("the environment is %q, want %q", got, want)
	}
	copied := t.TempDir()
	if err := c.Export(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(copied, "*")); len(names) != 2 {
		t.Errorf("exported: %q", names)
	}
	other := connections(t, &connect.Options{Emulators: embedded.Start, State: func() (string, error) { return copied, nil }})
	get(t, mustConnect(t, other, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nname = \"cache\""))[0], "second")
}

// TestEnvironmentOfAWS: the command aws takes no URL with keys in it.
func TestEnvironmentOfAWS(t *testing.T) {
	binds := []devhost.Bind{{Capability: capability.Blobstore, Name: "default", Config: map[string]string{"url": "http://key:secret@127.0.0.1:9?region=eu-x"}}}
	want := []string{
		"WAXO_BLOBSTORE_URL=http://key:secret@127.0.0.1:9?region=eu-x", "AWS_ENDPOINT_URL=http://127.0.0.1:9",
		"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_DEFAULT_REGION=eu-x",
	}
	if got := connect.New(nil).Environment(binds); !slices.Equal(got, want) {
		t.Errorf("the environment is %q, want %q", got, want)
	}
}

func TestStateThatCannotBeMade(t *testing.T) {
	c := connections(t, &connect.Options{Emulators: embedded.Start, State: func() (string, error) { return "", os.ErrPermission }})
	if _, err := c.Connect(t.Context(), connect.Settings{}, specs(t, "")); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}

func TestWithoutContainers(t *testing.T) {
	c := connections(t, &connect.Options{Emulators: embedded.Start})
	_, err := c.Connect(t.Context(), connect.Settings{}, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"container\""))
	if err == nil || !strings.Contains(err.Error(), `take provider = "embedded"`) {
		t.Errorf("%v", err)
	}
}

// TestWithoutEmbeddedServers: what has no service is there all the same, and of a
// service it is said how to bind it.
func TestWithoutEmbeddedServers(t *testing.T) {
	c := connections(t, nil)
	services := []string{capability.KeyValue, capability.Messaging, capability.EventStreams, capability.Blobstore}
	for _, spec := range connect.Complete(services, nil, true) {
		for _, provider := range []string{manifest.ProviderEmbedded, manifest.ProviderContainer} {
			spec.Provider = provider
			_, err := c.Connect(t.Context(), connect.Settings{}, []manifest.Bind{spec})
			if err == nil || !strings.HasPrefix(err.Error(), spec.Capability+": this host ") || !strings.Contains(err.Error(), "--bind "+spec.Capability+"=URL, with "+connect.Variable(spec.Capability, spec.Name)) {
				t.Errorf("%s: %v", provider, err)
			}
			if strings.Contains(err.Error(), "waxo run") != (provider == manifest.ProviderEmbedded) {
				t.Errorf("%s: %v", provider, err)
			}
		}
	}
	_, err := c.Connect(t.Context(), connect.Settings{}, []manifest.Bind{{Capability: capability.KeyValue, Name: "cache", Provider: manifest.ProviderEmbedded}})
	if err == nil || !strings.Contains(err.Error(), "--bind wascap:keyvalue/cache=URL, with WAXO_KEYVALUE_CACHE_URL, or with provider") {
		t.Errorf("of another name: %v", err)
	}
	mustConnect(t, c, connect.Complete([]string{capability.HTTPServer, capability.HTTPClient, capability.Logging, capability.Clock, capability.Extras}, nil, true))
	outside, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	binds := mustConnect(t, c, []manifest.Bind{{Capability: capability.KeyValue, Name: "default", Provider: manifest.ProviderURL, URL: outside.URL()}})
	set(t, binds[0], "value")
	get(t, binds[0], "value")
}

// TestTold: where bindings lead is told once, without the passwords of others.
func TestTold(t *testing.T) {
	var log strings.Builder
	c := connections(t, &connect.Options{
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
		Lookup: func(name string) (string, bool) { return "geheim", name == "SECRET" },
	})
	for range 2 {
		mustConnect(t, c, specs(t, "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"url\"\nurl = \"redis://:${SECRET}@127.0.0.1:1/0\""))
	}
	if text := log.String(); strings.Count(text, "127.0.0.1:1") != 1 || strings.Contains(text, "geheim") {
		t.Errorf("told: %s", text)
	}
}

func TestSpecs(t *testing.T) {
	both := []string{capability.KeyValue, capability.Logging}
	env := func(pairs ...string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1], true
				}
			}
			return "", false
		}
	}
	text := func(specs []manifest.Bind) string {
		var words []string
		for _, s := range specs {
			words = append(words, fmt.Sprintf("%s/%s=%s%s", s.Capability, s.Name, s.Provider, s.URL))
		}
		return strings.Join(words, " ")
	}
	cache := manifest.Bind{Capability: capability.KeyValue, Name: "cache", Provider: manifest.ProviderContainer}
	for name, c := range map[string]struct {
		specs []manifest.Bind
		apply func(specs []manifest.Bind) error
		want  string
	}{
		"defaults":        {connect.Complete(both, nil, true), nil, "wascap:keyvalue/default=embedded wascap:logging/default=embedded"},
		"of production":   {connect.Complete(both, nil, false), nil, "wascap:keyvalue/default=urlredis://127.0.0.1:6379/0 wascap:logging/default=embedded"},
		"of the manifest": {connect.Complete(both, []manifest.Bind{cache}, false), nil, "wascap:keyvalue/cache=container wascap:logging/default=embedded"},
		"environment": {connect.Complete(both, nil, true), func(s []manifest.Bind) error {
			return connect.FromEnvironment(s, env("WAXO_KEYVALUE_URL", "redis://a$b/0"))
		}, "wascap:keyvalue/default=urlredis://a$$b/0 wascap:logging/default=embedded"},
		"environment of a name": {connect.Complete(both, []manifest.Bind{cache}, true), func(s []manifest.Bind) error {
			return connect.FromEnvironment(s, env("WAXO_KEYVALUE_CACHE_URL", "redis://a", "WAXO_KEYVALUE_URL", "redis://b"))
		}, "wascap:keyvalue/cache=urlredis://a wascap:logging/default=embedded"},
		"no address": {connect.Complete(both, nil, true), func(s []manifest.Bind) error {
			if err := connect.FromEnvironment(s, env("WAXO_KEYVALUE_URL", "localhost:6379")); err == nil || !strings.Contains(err.Error(), `WAXO_KEYVALUE_URL is "localhost:6379", which is not an address`) {
				return fmt.Errorf("no address: %w", err)
			}
			return nil
		}, "wascap:keyvalue/default=embedded wascap:logging/default=embedded"},
		"original": {connect.Complete(both, []manifest.Bind{cache, {Capability: capability.KeyValue, Name: "default"}}, true), func(s []manifest.Bind) error {
			return connect.FromOriginal(s, env("REDIS_URL", "redis://c"))
		}, "wascap:keyvalue/cache=container wascap:keyvalue/default=urlredis://c wascap:logging/default=embedded"},
		"all in containers": {connect.Complete(both, nil, false), func(s []manifest.Bind) error {
			connect.Provide(s, manifest.ProviderContainer)
			return nil
		}, "wascap:keyvalue/default=container wascap:logging/default=embedded"},
		"all but plugins": {connect.Complete(both, []manifest.Bind{{Capability: capability.KeyValue, Name: "default", Provider: manifest.ProviderPlugin, Plugin: "kv"}}, true), func(s []manifest.Bind) error {
			connect.Provide(s, manifest.ProviderContainer)
			if s[0].Plugin != "kv" {
				return fmt.Errorf("the plugin is %q", s[0].Plugin)
			}
			return nil
		}, "wascap:keyvalue/default=plugin wascap:logging/default=embedded"},
		"as they are": {connect.Complete(both, []manifest.Bind{cache}, true), func(s []manifest.Bind) error {
			connect.Provide(s, "")
			return nil
		}, "wascap:keyvalue/cache=container wascap:logging/default=embedded"},
	} {
		if c.apply != nil {
			if err := c.apply(c.specs); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := text(c.specs); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}

func set(t *testing.T, b devhost.Bind, value string) {
	t.Helper()
	call(t, b, capability.OpSet, (&keyvaluepb.SetRequest{Key: "k", Value: value}).AppendProto(nil))
}

func get(t *testing.T, b devhost.Bind, want string) {
	t.Helper()
	var got keyvaluepb.GetResponse
	answer := call(t, b, capability.OpGet, (&keyvaluepb.GetRequest{Key: "k"}).AppendProto(nil))
	if err := got.UnmarshalProto(answer); err != nil || got.Value != want {
		t.Errorf("the store holds %q (%v), want %q", got.Value, err, want)
	}
}

// call makes one call with a binding that it makes and ends.
func call(t *testing.T, b devhost.Bind, operation string, payload []byte) []byte {
	t.Helper()
	bound := capability.BindingID{Guest: "MCALL", Name: b.Name}
	if err := b.Provider.Bind(t.Context(), capability.Binding{BindingID: bound, Config: b.Config}, silent{}); err != nil {
		t.Fatal(err)
	}
	answer, err := b.Provider.Call(t.Context(), capability.Call{BindingID: bound, Operation: operation, Payload: payload})
	if err = errors.Join(err, b.Provider.Unbind(t.Context(), bound)); err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestAllowReachesTheHTTPClient: without an allow-list the HTTP client asks its
// proxy, with one it goes nowhere else.
func TestAllowReachesTheHTTPClient(t *testing.T) {
	proxy := errors.New("the proxy was asked for")
	c := connections(t, &connect.Options{Proxy: func(*http.Request) (*url.URL, error) { return nil, proxy }})
	for allow, want := range map[string]string{"": proxy.Error(), "example.org": "not in the allow-list", "example.org,example.com": proxy.Error()} {
		spec := manifest.Bind{Capability: capability.HTTPClient, Name: "binding" + allow, Provider: manifest.ProviderEmbedded}
		if allow != "" {
			spec.Allow = strings.Split(allow, ",")
		}
		b := mustConnect(t, c, []manifest.Bind{spec})[0]
		id := capability.BindingID{Guest: id.Guest, Name: b.Name}
		if err := b.Provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: b.Config}, nil); err != nil {
			t.Fatal(err)
		}
		request := httppb.Request{Path: "http://example.com/"}
		_, err := b.Provider.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: request.AppendProto(nil)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q: %v, want %q", allow, err, want)
		}
	}
}
