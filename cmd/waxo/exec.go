package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/build"
	devproject "github.com/waxosuit/waxo/devhost/project"
)

// execFlags are the flags of waxo exec.
type execFlags struct {
	providers string
	port      int
	verbose   bool
	plugins   cli.PluginFlags
}

// What a command that cannot be run ends with, as shells and env have it.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

func (a *app) execCommand() *cobra.Command {
	f := &execFlags{}
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run a command while the project's guest and its services run",
		Long: `Build the guest of the project that the working directory belongs to, start it and
the services behind its capabilities, run COMMAND, and end all of it when that ends:
for tests of any kind. The guest is sealed, optimized, signed (with keys of this run)
and verified as in production. Its services begin empty, and what they keep ends with
them; neither the project's keys nor its data are used.

COMMAND finds them by its environment: WAXO_URL is where the guest's HTTP server is,
WAXO_KEYVALUE_URL and the like, and AWS_ENDPOINT_URL with what goes with it, are the
services, as in .waxo/env of waxo dev. Standard input, output and error are COMMAND's.
What the guest logs is told if it is a warning or an error, or with --verbose.

The exit status is COMMAND's: 128+N where signal N ended it, 127 where there is no
such command, 126 where it cannot be run; 1 where the guest cannot be built or
started. Signals go to COMMAND; the third kills it.`,
		Example: "  waxo exec -- npx playwright test\n  waxo exec --providers container -- go test ./...\n  waxo exec -- sh -c 'curl -s $WAXO_URL'",
		Args:    cli.Args(cobra.MinimumNArgs(1)),
	}
	cmd.Flags().SetInterspersed(false) // the command's own flags are its
	cmd.Flags().StringVar(&f.providers, "providers", "embedded", "what the services behind capabilities are: embedded, container, or manifest for where waxo.toml says")
	cmd.Flags().IntVarP(&f.port, "port", "p", 0, "port of the guest's HTTP server; 0 picks one")
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "tell all that the host and the guest log, on stderr")
	f.plugins.Add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case f.providers != "embedded" && f.providers != "container" && f.providers != ofManifest:
			return cli.Usage(fmt.Errorf("there are no providers %q; take embedded, container or %s", f.providers, ofManifest))
		case f.port < 0 || f.port > 65535:
			return cli.Usage(fmt.Errorf("there is no port %d; take 0 to 65535", f.port))
		}
		return a.exec(cmd, f, args)
	}
	return cmd
}

func (a *app) exec(cmd *cobra.Command, f *execFlags, args []string) (err error) {
	ctx := cmd.Context()
	program, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return a.notRun(args[0], err) // before anything is built for it
	}
	p, err := a.openProject("", nil)
	if err != nil {
		return err
	}
	c := &child{app: a, cmd: exec.Command(program, args[1:]...)}
	environment := os.Environ() // before it is changed for this process
	if err := a.scratch(); err != nil {
		return err
	}
	opts, closing, err := a.stand(cmd, f.providers, &f.plugins)
	if err != nil {
		return err
	}
	defer func() { a.tellOf(cli.Within(ctx, closing)) }()
	guest, err := a.buildGuest(ctx, p, build.New(nil), cli.Quiet(cmd))
	if err != nil {
		return toolchainWords(err)
	}
	opts.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port))
	s, err := a.newStand(opts, f.verbose)
	if err != nil {
		return err
	}
	defer func() { a.tellOf(cli.Within(ctx, s.Close)) }()
	if err := s.Start(ctx, guest.Signed, guest.Manifest); err != nil {
		return err
	}
	if !cli.Quiet(cmd) && s.URL() != "" {
		fmt.Fprintf(a.Err, "%s serves on %s\n", guest.Manifest.Name, s.URL())
	}
	c.cmd.Env = append(append(environment, devproject.EnvironmentMarker+"="+p.Dir()), s.Environment()...)
	return c.run(ctx)
}

// tellOf tells of what went wrong at the end, which is not the command's failure.
func (a *app) tellOf(err error) {
	if err != nil {
		fmt.Fprintln(a.Err, "waxo:", err)
	}
}

// notRun is the error for a command that cannot be run.
func (a *app) notRun(name string, err error) error {
	fmt.Fprintf(a.Err, "waxo: %s cannot be run: %v\n", name, err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return cli.ChildStatus(exitNotFound)
	}
	return cli.ChildStatus(exitNotExecutable)
}

// child is a command that runs in the foreground, in the place of this process.
type child struct {
	app *app
	cmd *exec.Cmd

	mu      sync.Mutex
	signals int
}

// run runs the command to its end.
func (c *child) run(ctx context.Context) error {
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = c.app.In, c.app.Out, c.app.Err
	c.app.RelayTo(c.relay)
	defer c.app.RelayTo(nil)
	if err := ctx.Err(); err != nil {
		return err // interrupted before
	}
	c.mu.Lock() // signals wait until there is somebody to get them
	err := c.cmd.Start()
	c.mu.Unlock()
	if err != nil {
		return c.app.notRun(c.cmd.Path, err)
	}
	err = c.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return err
	}
	state := c.cmd.ProcessState
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return cli.ChildStatus(128 + int(s.Signal()))
	}
	if code := state.ExitCode(); code != 0 {
		return cli.ChildStatus(code)
	}
	return nil
}

// relay gives a signal to the command. One that comes from the keyboard it has got
// itself.
func (c *child) relay(s os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signals++
	keyboard := isTerminal(c.app.In) || isTerminal(c.app.Out) || isTerminal(c.app.Err)
	switch {
	case c.cmd.Process == nil: // it could not be started
	case c.signals >= 3:
		_ = c.cmd.Process.Kill() // it may have ended
	case s == syscall.SIGTERM || !keyboard:
		_ = c.cmd.Process.Signal(s)
	}
}

// isTerminal tells whether something is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
