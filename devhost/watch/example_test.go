package watch_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/waxosuit/waxo/devhost/watch"
)

func Example() {
	root, err := os.MkdirTemp("", "watched")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)

	w, err := watch.New(context.Background(), &watch.Options{
		Root:    root,
		Include: []string{"**/*.go", "go.mod"},
		Notice:  func(s string) { log.Print(s) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	for _, name := range []string{"main.go", "main.go~", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("package main"), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println((<-w.Changes()).Paths)
	// Output: [main.go]
}
