// Package cli is what the programs that run guests have in common: the streams, the
// signals and the exit statuses of a process, and the command that verifies, binds
// and serves one module.
//
// It links no server to embed, no toolchain and no test: a program that has them
// hands them in.
package cli

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

	"github.com/waxosuit/waxo/devhost/connect"
)

// The exit statuses.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// App is the world of the commands: what they read, write and are stopped by.
type App struct {
	Name     string // of the program
	In       *os.File
	Out, Err io.Writer
	Lookup   func(name string) (string, bool) // reads the environment
	Begun    time.Time                        // the process

	// Emulators starts the servers that are embedded in the program. Default: it has
	// none.
	Emulators connect.Emulators

	interrupted atomic.Bool
	mu          sync.Mutex
	pending     func() string   // what a command still has in hand
	restore     func()          // what must be put back before the process ends
	relay       func(os.Signal) // takes signals in the place of this process
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage makes an error one in how a command was called.
func Usage(err error) error { return usageError{err} }

// ChildStatus is how a command that the program ran ended: its exit status, or 128
// and the number of the signal that ended it, as shells have it.
type ChildStatus int

func (s ChildStatus) Error() string { return fmt.Sprintf("the command ended with status %d", int(s)) }

// Root makes a command the program's own: it gets the streams, --version and
// --quiet, and what it is told wrong is a usage error.
func (a *App) Root(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	// cobra's own --version would look for the version at each start.
	show := root.Flags().BoolP("version", "v", false, "show which "+a.Name+" this is")
	run := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *show {
			return a.PrintVersion()
		}
		return run(cmd, args)
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.PersistentFlags().BoolP("quiet", "q", false, "print no more than results, warnings and errors")
}

// Main runs one command line and returns the exit status.
func (a *App) Main(root *cobra.Command, args []string) int {
	ctx, stop := a.signals()
	defer stop()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.CleanUp()
	return a.status(err)
}

// status tells how a command ended, and is the exit status for it.
func (a *App) status(err error) int {
	interrupted := a.interrupted.Load()
	if child := ChildStatus(0); errors.As(err, &child) {
		return int(child)
	}
	if err != nil && !(interrupted && errors.Is(err, context.Canceled)) {
		fmt.Fprintf(a.Err, "%s: %v\n", a.Name, err)
	}
	var usage usageError
	switch {
	case interrupted: // also where the end was not a clean one
		return ExitInterrupted
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	}
	return ExitFailure
}

// signals returns a context that ends with the first interrupt, termination or
// hang-up. The second says what is left and ends the process at once.
func (a *App) signals() (context.Context, func()) {
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
func (a *App) abort() {
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
	a.CleanUp()
	fmt.Fprintf(a.Err, "%s: stopped at once; left unfinished: %s\n", a.Name, left)
	os.Exit(ExitInterrupted)
}

// OnAbort says what a command has in hand while it runs.
func (a *App) OnAbort(pending func() string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending = pending
}

// RelayTo has signals go to f until it is nil again.
func (a *App) RelayTo(f func(os.Signal)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.relay = f
}

func (a *App) relaying() func(os.Signal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.relay
}

// OnExit has f called once before the process ends, however it ends.
func (a *App) OnExit(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.restore = sync.OnceFunc(f)
}

// CleanUp does now what OnExit was told.
func (a *App) CleanUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.restore != nil {
		a.restore()
	}
}

// Args makes a wrong number of arguments a usage error that shows the usage.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

// Quiet tells whether no more than results, warnings and errors are to be printed.
func Quiet(cmd *cobra.Command) bool {
	q, err := cmd.Flags().GetBool("quiet")
	return err == nil && q
}
