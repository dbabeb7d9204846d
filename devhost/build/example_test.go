package build_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
)

func Example() {
	dir, err := os.MkdirTemp("", "project")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"go.mod":  "module hello\n\ngo 1.24\n",
		"main.go": "package main\n\nfunc main() {\n\tprintln(greeting)\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	m, err := manifest.Parse([]byte("name = \"hello\"\nlanguage = \"go\"\n"), filepath.Join(dir, manifest.FileName))
	if err != nil {
		log.Fatal(err)
	}

	_, err = build.New(nil).Build(context.Background(), &build.Request{Manifest: m})
	var failed *build.BuildError
	if errors.As(err, &failed) {
		fmt.Print(failed.Output)
	}
	// Output:
	// # hello
	// ./main.go:4:10: undefined: greeting
}
