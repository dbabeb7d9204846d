// Package guest has the SDKs with which guests are written, one folder a
// language, as files that can be put into a project.
//
// A project that waxo writes stands alone: it holds its SDK, and builds on a
// machine that has never seen this module. The Go SDK is part of this module, and
// becomes a module of its own where WriteGoSDK puts it, under the same import
// path:
//
//	require github.com/waxosuit/waxo/guest/go v0.1.0
//	replace github.com/waxosuit/waxo/guest/go => ./sdk
package guest

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	waxo "github.com/waxosuit/waxo/guest/go"
)

// What a project's go.mod needs to know of the Go SDK.
const (
	GoSDKModule  = "github.com/waxosuit/waxo/guest/go"
	GoSDKVersion = waxo.Version
	GoVersion    = "1.24" // the oldest Go that compiles it
)

//go:embed go
var files embed.FS

const readme = `# The waxo SDK for Go, version %s

This is what a guest needs to talk to its host. waxo put it here, so the project
builds on any machine with Go. Leave it as it is: it is renewed as a whole, and
what is changed in it would be lost.
`

// WriteGoSDK writes the Go SDK into dir, as a module, and returns the paths of its
// files within dir. It makes dir where it is absent, and overwrites no file: one
// that exists is an error that matches fs.ErrExist.
func WriteGoSDK(dir string) ([]string, error) {
	sdk, err := fs.Sub(files, "go")
	if err != nil {
		return nil, err
	}
	var written []string
	write := func(path string, content []byte) error {
		if err := create(filepath.Join(dir, filepath.FromSlash(path)), content); err != nil {
			return fmt.Errorf("guest: write the Go SDK: %w", err)
		}
		written = append(written, path)
		return nil
	}
	err = fs.WalkDir(sdk, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(sdk, path)
		if err != nil {
			return err
		}
		return write(path, content)
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ path, content string }{
		{"README.md", fmt.Sprintf(readme, GoSDKVersion)},
		{"VERSION", GoSDKVersion + "\n"},
		{"go.mod", fmt.Sprintf("module %s\n\ngo %s\n", GoSDKModule, GoVersion)},
	} {
		if err := write(f.path, []byte(f.content)); err != nil {
			return nil, err
		}
	}
	return written, nil
}

// create writes a file that must not exist, and its folder.
func create(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
