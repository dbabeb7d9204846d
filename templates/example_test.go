package templates_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/waxosuit/waxo/templates"
)

func ExampleWrite() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	files, err := templates.Write(filepath.Join(folder, "hello"), templates.Default, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(files[:5])
	// Output: [.gitignore README.md go.mod main.go main_test.go]
}
