package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionResult is what waxo version says.
type versionResult struct {
	Version string `json:"version"`          // of waxo
	Commit  string `json:"commit,omitempty"` // that it was built from, where known
	Go      string `json:"go"`
	Engine  string `json:"wazero"` // the version of the WebAssembly engine
	System  string `json:"system"`
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show which waxo this is",
		Example: "  waxo version -o json",
		Args:    args(cobra.NoArgs),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.out, version())
		}
		return a.printVersion()
	}
	return cmd
}

func (a *app) printVersion() error {
	_, err := fmt.Fprintln(a.out, "waxo", version())
	return err
}

func (v versionResult) String() string {
	return fmt.Sprintf("%s (%s, wazero %s, %s)", v.Version, v.Go, v.Engine, v.System)
}

func version() versionResult {
	v := versionResult{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/tetratelabs/wazero" {
			v.Engine = d.Version
		}
	}
	return v
}
