package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// VersionResult says which program this is.
type VersionResult struct {
	Version string `json:"version"`          // of the program
	Commit  string `json:"commit,omitempty"` // that it was built from, where known
	Go      string `json:"go"`
	Engine  string `json:"wazero"` // the version of the WebAssembly engine
	System  string `json:"system"`
}

// PrintVersion says which version of which program this is.
func (a *App) PrintVersion() error {
	_, err := fmt.Fprintln(a.Out, a.Name, Version())
	return err
}

func (v VersionResult) String() string {
	return fmt.Sprintf("%s (%s, wazero %s, %s)", v.Version, v.Go, v.Engine, v.System)
}

// Version is that of the program that runs.
func Version() VersionResult {
	v := VersionResult{Version: "unknown", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
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
