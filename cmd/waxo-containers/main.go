// Command waxo-containers runs containers for waxo, which spawns it and speaks to
// it: see package harness/companion. When its standard input ends, so do they.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/containers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(os.Interrupt) // waxo decides
	if err := companion.Serve(ctx, os.Stdin, os.Stdout, containers.NewSet()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
