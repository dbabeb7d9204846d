package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// silent is a guest that answers 200 without a body.
type silent struct{}

func (silent) Dispatch(context.Context, string, []byte, []byte) (capability.Reply, error) {
	return capability.Reply{}, nil
}

func TestLimitsReachTheHTTPServer(t *testing.T) {
	c := &connections{log: slog.New(slog.DiscardHandler), address: "127.0.0.1:0"}
	t.Cleanup(func() {
		if err := c.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	id := capability.BindingID{Guest: "MTEST", Name: capability.DefaultBinding}
	for _, test := range []struct{ limit, status int }{{10, 413}, {11, 200}, {0, 200}, {10, 413}} {
		c.limits = devhost.Limits{RequestBody: test.limit}
		binds, err := c.connect(t.Context(), []string{capability.HTTPServer}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.url(id) == "" {
			if err := binds[0].Provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: binds[0].Config}, silent{}); err != nil {
				t.Fatal(err)
			}
		}
		response, err := http.Post(c.url(id), "text/plain", strings.NewReader("12345678901"))
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
	c := &connections{log: slog.New(slog.DiscardHandler), lookup: os.LookupEnv}
	specs, err := parseBinds([]string{"wascap:http_server=http://127.0.0.1:9000"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.connect(t.Context(), []string{capability.HTTPServer}, specs); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a URL was taken and ignored: %v", err)
	}
	specs[0] = manifest.Bind{Capability: capability.HTTPServer, Name: "default", Provider: manifest.ProviderEmbedded, Config: map[string]string{"address": "127.0.0.1:9"}}
	binds, err := c.connect(t.Context(), []string{capability.HTTPServer}, specs)
	if err != nil || binds[0].Config["address"] != "127.0.0.1:9" {
		t.Errorf("got %+v, %v", binds, err)
	}
}

func TestWithoutACacheFolderCodeStaysInMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, file)
	}
	var log bytes.Buffer
	engine, err := newEngine("", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || !strings.Contains(log.String(), "in memory only") {
		t.Fatalf("%v, log %q", err, log.String())
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := newEngine(file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the folder that was asked for was ignored")
	}
}
