// Command waxo is the workbench and the host for WebAssembly guests that can
// touch nothing but the capabilities they were signed for.
package main

import (
	"os"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	app := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, lookup: os.LookupEnv, begun: time.Now()}
	return app.main(os.Args[1:])
}
