// Command build provides the container images that waxo asks for: it pulls them
// and, where they cannot be pulled, builds stand-ins.
//
//	go run github.com/waxosuit/waxo/harness/images/build@latest
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/moby/moby/client"

	"github.com/waxosuit/waxo/harness/images"
)

func main() {
	offline := flag.Bool("offline", false, "do not try to pull")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *offline, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, offline bool, names []string) error {
	engine, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer engine.Close()
	opts := &images.Options{Offline: offline, Progress: func(line string) { fmt.Println(line) }}
	if len(names) > 0 {
		opts.Names = names
	}
	return images.Ensure(ctx, engine, opts)
}
