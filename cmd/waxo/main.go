// Command waxo is the workbench and the host for WebAssembly guests that can
// touch nothing but the capabilities they were signed for.
package main

import (
	"os"
	"time"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/embedded"
)

func main() { os.Exit(run()) }

func run() int {
	app := &app{&cli.App{
		Name: "waxo", In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Lookup: os.LookupEnv, Begun: time.Now(),
		Emulators: embedded.Start,
	}}
	return app.main(os.Args[1:])
}
