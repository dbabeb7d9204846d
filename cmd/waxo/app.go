package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// app is the world of the commands: what they read, write and are stopped by.
type app struct {
	in       *os.File
	out, err io.Writer
	lookup   func(name string) (string, bool)
	begun    time.Time // the process

	interrupted atomic.Bool
	mu          sync.Mutex
	pending     func() string   // what a command still has in hand
	restore     func()          // what must be put back before the process ends
	relay       func(os.Signal) // takes signals in the place of this process
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// main runs one command line and returns the exit status.
func (a *app) main(args []string) int {
	ctx, stop := a.signals()
	defer stop()
	root := a.root(args)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.cleanup()
	return a.status(err)
}

// status tells how a command ended, and is the exit status for it.
func (a *app) status(err error) int {
	interrupted := a.interrupted.Load()
	if child := childStatus(0); errors.As(err, &child) {
		return int(child)
	}
	if err != nil && !(interrupted && errors.Is(err, context.Canceled)) {
		fmt.Fprintf(a.err, "waxo: %v\n", err)
	}
	var usage usageError
	switch {
	case interrupted: // also where the end was not a clean one
		return exitInterrupted
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailure
}

// signals returns a context that ends with the first interrupt, termination or
// hang-up. The second says what is left and ends the process at once.
func (a *app) signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		first := true
		for {
			select {
			case s := <-got:
				if relay := a.relaying(); relay != nil {
					relay(s)
					continue
				}
				if !first {
					a.abort()
				}
				first = false
				a.interrupted.Store(s == os.Interrupt)
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(got); close(done); cancel() }
}

// abort ends the process without waiting for what is in hand.
func (a *app) abort() {
	a.mu.Lock()
	pending := a.pending
	a.mu.Unlock()
	left := ""
	if pending != nil {
		left = pending()
	}
	if left == "" {
		left = "nothing"
	}
	a.cleanup()
	fmt.Fprintf(a.err, "waxo: stopped at once; left unfinished: %s\n", left)
	os.Exit(exitInterrupted)
}

// onAbort says what a command has in hand while it runs.
func (a *app) onAbort(pending func() string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = pending
}

// relayTo has signals go to f until it is nil again.
func (a *app) relayTo(f func(os.Signal)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.relay = f
}

func (a *app) relaying() func(os.Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relay
}

// onExit has f called once before the process ends, however it ends.
func (a *app) onExit(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.restore = sync.OnceFunc(f)
}

func (a *app) cleanup() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.restore != nil {
		a.restore()
	}
}

// color tells whether what goes to w may have colours.
func (a *app) color(w io.Writer) bool {
	if v, set := a.lookup("NO_COLOR"); set && v != "" {
		return false
	}
	if v, _ := a.lookup("TERM"); v == "dumb" {
		return false
	}
	return isTerminal(w)
}

// root is the command line for the arguments.
func (a *app) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "waxo",
		Short: "Write, run and ship WebAssembly guests that touch only what they were signed for",
		Long: `waxo is the workbench and the host for WebAssembly guests that can touch
nothing but the capabilities they were signed for.

The shortest way in, from an empty folder to a guest that serves and reloads:

  waxo dev hello`,
		Example:       "  waxo dev hello",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
	}
	// cobra's own --version would look for the version at each start.
	show := root.Flags().BoolP("version", "v", false, "show which waxo this is")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *show {
			return a.printVersion()
		}
		return cmd.Help()
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.PersistentFlags().BoolP("quiet", "q", false, "print no more than results, warnings and errors")
	if len(args) > 0 && args[0] == "run" { // which is to start fast, and has no use for the others
		root.CompletionOptions.DisableDefaultCmd = true
		root.AddCommand(a.runCommand())
		return root
	}
	root.AddCommand(a.newCommand(), a.devCommand(), a.buildCommand(), a.testCommand(), a.execCommand(), a.conformanceCommand(), a.generateCommand(), a.runCommand(),
		a.inspectCommand(), a.verifyCommand(), a.signCommand(), a.keysCommand(), a.stateCommand(), a.providersCommand(), a.faultCommand(), a.versionCommand())
	return root
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see waxo --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return usageError{fmt.Errorf("there is no command %q; %s", args[0], hint)}
}

// args makes a wrong number of arguments a usage error that shows the usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

func quiet(cmd *cobra.Command) bool {
	q, err := cmd.Flags().GetBool("quiet")
	return err == nil && q
}
