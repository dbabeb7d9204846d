package connect_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// buildPlugin builds a plugin for wascap:keyvalue that keeps everything in memory.
func buildPlugin(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", file, "github.com/waxosuit/waxo/templates/provider").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func development() *plugin.Options {
	return &plugin.Options{Development: true, StartTimeout: time.Minute}
}

// pluginSpec binds wascap:keyvalue to a plugin.
func pluginSpec(name, file string) manifest.Bind {
	return manifest.Bind{Capability: capability.KeyValue, Name: name, Provider: manifest.ProviderPlugin, Plugin: file, Config: map[string]string{"max_keys": "1"}}
}

func TestPluginOfTheManifest(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Base(buildPlugin(t, dir, "kv"))
	c := connections(t, &connect.Options{Plugins: development(), Emulators: embedded.Start})
	settings := connect.Settings{Dir: dir}
	builtIn := manifest.Bind{Capability: capability.KeyValue, Name: "built-in", Provider: manifest.ProviderEmbedded}
	specs := []manifest.Bind{pluginSpec("default", name), pluginSpec("second", filepath.Join(dir, name)), builtIn}
	binds, err := c.Connect(t.Context(), settings, specs)
	if err != nil {
		t.Fatal(err)
	}
	if binds[0].Provider != binds[1].Provider || binds[0].Provider == binds[2].Provider {
		t.Errorf("the providers are %+v", binds)
	}
	set(t, binds[0], "value") // its store ends with the binding
	again, err := c.Connect(t.Context(), settings, specs)
	if err != nil || again[0].Provider != binds[0].Provider {
		t.Errorf("what did not change is another now: %+v, %v", again, err)
	}
	if _, err := c.Connect(t.Context(), settings, []manifest.Bind{builtIn}); err != nil {
		t.Fatal(err)
	}
	set(t, binds[0], "until Prune")
	if err := c.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = binds[0].Provider.Bind(t.Context(), capability.Binding{BindingID: id}, nil)
	if err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("it is still there, and nobody asks for it: %v", err)
	}
}

func TestPluginsOfAFolder(t *testing.T) {
	dir := t.TempDir()
	file := buildPlugin(t, dir, "kv")
	c := connections(t, &connect.Options{Plugins: development(), Caps: dir})
	plain := manifest.Bind{Capability: capability.KeyValue, Name: "default", Provider: manifest.ProviderEmbedded, Config: map[string]string{"max_keys": "7"}}
	byDefault, elsewhere := plain, plain
	byDefault.Name, byDefault.Provider, byDefault.URL = "production", manifest.ProviderURL, connect.Default(capability.KeyValue)
	elsewhere.Name, elsewhere.Provider, elsewhere.URL = "elsewhere", manifest.ProviderURL, "redis://example.org"
	logging := manifest.Bind{Capability: capability.Logging, Name: "default", Provider: manifest.ProviderEmbedded}
	binds := mustConnect(t, c, []manifest.Bind{plain, byDefault, elsewhere, logging})
	if p, ok := binds[0].Provider.(*plugin.Provider); !ok || p.File() != file || binds[1].Provider != binds[0].Provider {
		t.Errorf("the key-value store is that of %+v", binds[0].Provider)
	}
	if _, ok := binds[3].Provider.(*plugin.Provider); ok {
		t.Error("the log is a plugin")
	}
	for i, url := range []string{"", "", "redis://example.org"} {
		if binds[i].Config["url"] != url || binds[i].Config["max_keys"] != "7" {
			t.Errorf("%s is configured with %v, want the url %q", binds[i].Name, binds[i].Config, url)
		}
	}
	set(t, binds[0], "value")

	_, err := c.Connect(t.Context(), connect.Settings{}, []manifest.Bind{pluginSpec("other", "/elsewhere/kv")})
	if err == nil || !strings.Contains(err.Error(), "two plugins claim") || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "/elsewhere/kv") {
		t.Errorf("two for one binding: %v", err)
	}
	mustConnect(t, c, []manifest.Bind{logging})
	if err := c.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := mustConnect(t, c, []manifest.Bind{plain}); again[0].Provider == binds[0].Provider {
		t.Error("it was not unloaded when nobody asked for it")
	} else {
		set(t, again[0], "value")
	}
}

func TestPluginsThatDoNotServe(t *testing.T) {
	dir := t.TempDir()
	file := buildPlugin(t, dir, "kv")
	c := connections(t, &connect.Options{Plugins: development()})
	wrong := pluginSpec("default", file)
	wrong.Capability = capability.Logging
	_, err := c.Connect(t.Context(), connect.Settings{}, []manifest.Bind{wrong})
	if err == nil || !strings.Contains(err.Error(), "offers wascap:keyvalue, and cannot be bound as wascap:logging") {
		t.Errorf("another capability: %v", err)
	}
	_, err = c.Connect(t.Context(), connect.Settings{Dir: dir}, []manifest.Bind{pluginSpec("default", "none")})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "none")) {
		t.Errorf("no file: %v", err)
	}
	production := connections(t, nil)
	_, err = production.Connect(t.Context(), connect.Settings{}, []manifest.Bind{pluginSpec("default", file)})
	if err == nil || !strings.Contains(err.Error(), "is refused") {
		t.Errorf("unsigned: %v", err)
	}
	missing := connections(t, &connect.Options{Caps: filepath.Join(dir, "nowhere")})
	if _, err = missing.Connect(t.Context(), connect.Settings{}, []manifest.Bind{{Capability: capability.Logging, Name: "default", Provider: manifest.ProviderEmbedded}}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no folder: %v", err)
	}
}
