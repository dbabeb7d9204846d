// A provider of wascap:keyvalue that keeps everything in memory, as a plugin.
package main

import (
	"fmt"
	"os"

	"github.com/waxosuit/waxo/capability/plugin/serve"
)

func main() {
	if err := serve.Provider(newProvider()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
