package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/cmd/internal/clitest"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/templates"
	"github.com/waxosuit/waxo/wascap"
)

// asHost marks the processes of the test binary that are to be waxo-host.
const asHost = "WAXO_HOST_TEST_MAIN"

// scratch is a folder for what the tests build, and for compiled code.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(asHost) != "" {
		os.Exit(run())
	}
	testscript.Main(tests{m}, map[string]func(){name: func() { os.Exit(run()) }})
}

// tests are those of the package, with a folder to build in.
type tests struct{ *testing.M }

func (t tests) Run() int {
	var err error
	if scratch, err = os.MkdirTemp("", "waxo-host-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return t.M.Run()
}

// modules are the files of a guest that counts in a key-value store, by how it is
// signed: as "counter.wasm" with real keys, as "throwaway.wasm" with those of waxo
// dev, and as "blobs.wasm" with those too, but for a blob store.
var modules = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(scratch, "modules")
	source := filepath.Join(scratch, "counter")
	if _, err := templates.Write(source, "kvcounter", nil); err != nil {
		return "", err
	}
	p, err := project.Open(source, nil)
	if err != nil {
		return "", err
	}
	made, err := p.Make(context.Background(), build.New(nil), &project.MakeOptions{Brief: true})
	if err != nil {
		return "", err
	}
	account, err := wascap.Generate(wascap.Account)
	if err != nil {
		return "", err
	}
	key, err := wascap.Generate(wascap.Module)
	if err != nil {
		return "", err
	}
	production := wascap.Claims{Subject: key.PublicKey().String(), Name: "counter", Capabilities: p.Manifest().Capabilities}
	throwaway := production
	throwaway.Tags, throwaway.Expires = []string{wascap.DevTag}, time.Now().Add(time.Hour)
	blobs := throwaway
	blobs.Capabilities = []string{capability.HTTPServer, capability.Blobstore}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, claims := range map[string]wascap.Claims{"counter": production, "throwaway": throwaway, "blobs": blobs} {
		signed, err := wascap.Sign(made.Sealed, claims, account, nil)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".wasm"), signed, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
})

func TestScripts(t *testing.T) {
	dir, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODULES", dir)
			e.Setenv("XDG_CACHE_HOME", filepath.Join(scratch, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": clitest.Status},
	})
}
