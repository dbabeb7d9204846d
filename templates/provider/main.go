// A provider of wascap:keyvalue that keeps everything in memory, as a plugin.
package main

import (
	"fmt"
	"os"

	"github.com/waxosuit/waxo/capability/plugin"
)

func main() {
	if err := plugin.Serve(newProvider()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
