package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/cmd/internal/clitest"
)

var update = flag.Bool("update", false, "write what was printed into the scripts")

// asWaxo marks the processes of the test binary that are to be waxo.
const asWaxo = "WAXO_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asWaxo) != "" {
		os.Exit(run())
	}
	testscript.Main(m, map[string]func(){"waxo": func() { os.Exit(run()) }})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// The toolchain's caches are the user's: builds are quick.
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
				e.Setenv(name, goEnv(t, name))
			}
			source, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			e.Setenv("WAXO_SOURCE", source)
			e.Setenv("GOPROXY", "off")
			e.Setenv("GOFLAGS", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": clitest.Status,
			"flip":   flip,
		},
	})
}
