// Command generate writes docs/coverage.md. It is run in docs.
package main

import (
	"fmt"
	"os"

	"github.com/waxosuit/waxo/testscripts/coverage"
)

func main() {
	c, err := coverage.Gather(os.DirFS(".."))
	if err == nil {
		err = os.WriteFile("coverage.md", []byte(c.Table()), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
