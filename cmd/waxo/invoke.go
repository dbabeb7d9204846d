package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/control"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/wapc"
)

// requestInvoke is the request of waxo invoke.
const requestInvoke = "invoke"

// invokeRequest asks for a call of the guest that serves.
type invokeRequest struct {
	Capability string `json:"capability"`
	Operation  string `json:"operation"`
	Payload    []byte `json:"payload"`
}

// invokeAnswer is what came of it.
type invokeAnswer struct {
	Build   string      `json:"build"`
	Payload []byte      `json:"payload"`
	Failed  *callFailed `json:"failed,omitempty"`
}

// callFailed is a *capability.Error on its way to another process.
type callFailed struct {
	Code    capability.Code `json:"code"`
	Message string          `json:"message"`
	Detail  string          `json:"detail"`
}

// guestOperations are the operations of the standard that guests handle, for people.
func guestOperations() string { return strings.Join(registry.Names("", true), ", ") }

// invokeFlags are the flags of waxo invoke.
type invokeFlags struct {
	module    string
	providers string
	output    string
	raw       bool
	verbose   bool
	plugins   cli.PluginFlags
}

func (a *app) invokeCommand() *cobra.Command {
	f := &invokeFlags{}
	cmd := &cobra.Command{
		Use:   "invoke [flags] OPERATION [PAYLOAD | @FILE | -]",
		Short: "Have a guest handle one operation",
		Long: `Call a guest once, as a capability provider would, and print its answer.

The guest is that of the project that the working directory belongs to. Where its
waxo dev runs, the call goes to the guest that serves there, with the data that it
has. Else, or with --providers, the guest is built, sealed, optimized, signed (with
keys of this run), verified and started for this call alone. Its services begin empty,
and what they keep ends with them; with --providers manifest they are those of
waxo.toml and the environment, with what they have, and what they bring comes in. With
--module, all that is done with a signed module, of any project or none.

OPERATION is one that guests handle: ` + guestOperations() + `. Or it is
CAPABILITY/OPERATION, which may be one of a capability of your own.

PAYLOAD is the operation's message in the JSON mapping of Protocol Buffers: names in
snake_case or lowerCamelCase, bytes in base64 or as {"text": "..."}; @FILE reads it
from a file, - from the standard input. Without it, the message is empty. The answer
is printed in the same way: as text, with bytes that are UTF-8 as {"text": "..."};
as json, with all bytes in base64. Payloads and answers of operations that are not of
the standard, and with --raw of all, are passed on and printed as they are (as json:
{"payload": "<base64>"}).

A call that fails is an error that begins with its kind: guest (it answered with an
error), trap, memory, deadline, denied (the claims do not grant it), provider (the
guest failed because a provider did), unavailable, too_large and so on. The exit status
is 1, of a mistake in the command line 2, after Ctrl-C 130.`,
		Example: `  waxo invoke HandleRequest '{"method": "GET", "path": "/"}'
  waxo invoke DeliverMessage '{"message": {"subject": "jobs", "body": {"text": "go"}}}'
  waxo invoke HealthRequest --module hello.wasm
  waxo invoke HandleRequest @request.json --providers container -o json`,
		Args: cli.Args(func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return fmt.Errorf("say what the guest is to handle: %s, or CAPABILITY/OPERATION", guestOperations())
			case 1, 2:
				return nil
			}
			return fmt.Errorf("there are %d arguments; put a payload with spaces in quotes", len(args))
		}),
	}
	cmd.Flags().StringVarP(&f.module, "module", "m", "", "file of a signed module to call, in place of the project's guest")
	cmd.Flags().StringVar(&f.providers, "providers", "", "what the services behind capabilities are: embedded, container, or manifest for where waxo.toml says (default: those of the waxo dev that runs, else embedded)")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "pass the payload on, and print the answer, as they are")
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "tell all that the host and the guest log, on stderr; of a guest that is started for the call")
	f.plugins.Add(cmd)
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.output = *format
		if cmd.Flags().Changed("module") && f.module == "" {
			return cli.Usage(errors.New("--module names no file"))
		}
		c, err := f.check(args[0])
		if err != nil {
			return err
		}
		if err := a.readPayload(cmd.Context(), c, args[1:]); err != nil {
			return err
		}
		answer, err := a.invoke(cmd, f, c)
		if err != nil {
			return err
		}
		a.CleanUp() // a reader that has gone ends the process
		return a.printAnswer(f.output, c.operation, answer)
	}
	return cmd
}

// invocation is a call that is to be made.
type invocation struct {
	operation registry.Operation
	payload   []byte
}

func (f *invokeFlags) check(operation string) (*invocation, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	if kinds := []string{"", "embedded", "container", ofManifest}; !slices.Contains(kinds, f.providers) {
		return nil, cli.Usage(fmt.Errorf("there are no providers %q; take embedded, container or %s", f.providers, ofManifest))
	}
	if f.module != "" && f.providers == ofManifest {
		return nil, cli.Usage(errors.New("a module has no waxo.toml: leave --providers manifest out, or run waxo invoke in a project without --module"))
	}
	o, err := findOperation(operation)
	if err != nil {
		return nil, cli.Usage(err)
	}
	if f.raw {
		o.Request, o.Response = nil, nil
	}
	return &invocation{operation: o}, nil
}

// findOperation finds the operation of a guest that an argument names. One that is
// not of the standard has no Request.
func findOperation(arg string) (registry.Operation, error) {
	id, name, qualified := strings.Cut(arg, "/")
	if !qualified {
		named := registry.Named(arg)
		switch i := slices.IndexFunc(named, func(o registry.Operation) bool { return o.ToGuest }); {
		case i >= 0:
			return named[i], nil
		case len(named) > 0:
			return registry.Operation{}, fmt.Errorf("%s is an operation of %s, which guests call; they handle %s", arg, named[0].Capability, guestOperations())
		}
		return registry.Operation{}, fmt.Errorf("there is no operation %q; guests handle %s, and those of other capabilities as CAPABILITY/OPERATION", arg, guestOperations())
	}
	if o, ok := registry.Lookup(id, name); ok && o.ToGuest {
		return o, nil
	}
	if ofStandard := slices.ContainsFunc(registry.Operations(), func(o registry.Operation) bool { return o.Capability == id }); ofStandard {
		names := cmp.Or(strings.Join(registry.Names(id, true), ", "), "none")
		return registry.Operation{}, fmt.Errorf("%s has no operation %q that guests handle; there is %s", id, name, names)
	}
	if err := manifest.CheckCapability(id); err != nil {
		return registry.Operation{}, err
	}
	if name == "" {
		return registry.Operation{}, fmt.Errorf("name the operation too: %s/OPERATION", id)
	}
	return registry.Operation{Capability: id, Name: name, ToGuest: true}, nil
}

// readPayload makes the payload of the argument that gives it.
func (a *app) readPayload(ctx context.Context, c *invocation, args []string) (err error) {
	var given []byte
	switch {
	case len(args) == 0 && c.operation.Request != nil:
		given = []byte("{}")
	case len(args) == 0:
	case args[0] == "-":
		given, err = readAll(ctx, func() (io.ReadCloser, error) { return io.NopCloser(a.In), nil })
	case strings.HasPrefix(args[0], "@"):
		given, err = readAll(ctx, func() (io.ReadCloser, error) { return os.Open(args[0][1:]) })
	default:
		given = []byte(args[0])
	}
	if err != nil {
		return fmt.Errorf("the payload cannot be read: %w", err)
	}
	if c.payload = given; c.operation.Request == nil {
		return nil
	}
	if c.payload, err = c.operation.EncodeRequest(given); err != nil {
		return cli.Usage(fmt.Errorf("the payload of %s: %w", c.operation.Name, err))
	}
	return nil
}

// maxPayload is the largest payload that is read, in bytes: what is larger, no guest
// takes.
const maxPayload = 1 << 30

// readAll reads to the end, or until ctx ends: to open and to read what is no file takes
// until somebody writes to it.
func readAll(ctx context.Context, open func() (io.ReadCloser, error)) ([]byte, error) {
	type outcome struct {
		data []byte
		err  error
	}
	read := make(chan outcome, 1)
	go func() {
		r, err := open()
		if err != nil {
			read <- outcome{nil, err}
			return
		}
		defer r.Close()
		data, err := io.ReadAll(io.LimitReader(r, maxPayload+1))
		read <- outcome{data, err}
	}()
	select {
	case o := <-read:
		if len(o.data) > maxPayload {
			return nil, fmt.Errorf("it has more than %d bytes", maxPayload)
		}
		return o.data, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// invoke makes the call and returns the payload of the answer.
func (a *app) invoke(cmd *cobra.Command, f *invokeFlags, c *invocation) ([]byte, error) {
	ctx := cmd.Context()
	if f.module != "" {
		module, err := os.ReadFile(f.module)
		if err != nil {
			return nil, err
		}
		return a.invokeAlone(cmd, f, c, func(context.Context) ([]byte, *manifest.Manifest, error) {
			m := manifest.Defaults()
			return module, m, m.ApplyEnv(a.Lookup)
		})
	}
	p, err := a.openProject("", nil)
	if err != nil {
		return nil, err
	}
	if f.providers == "" {
		running, err := dial(ctx, p.Dir())
		if err != nil {
			return nil, err
		}
		if running != nil {
			defer running.Close()
			if f.verbose || f.plugins.Caps != "" || f.plugins.Trust != nil {
				return nil, cli.Usage(errors.New("--verbose, --caps and --trust are for a guest that is started for this call, but its waxo dev runs: leave them out, or add --providers embedded"))
			}
			return a.invokeRunning(cmd, running, p.Manifest().Name, c)
		}
	}
	return a.invokeAlone(cmd, f, c, func(ctx context.Context) ([]byte, *manifest.Manifest, error) {
		guest, err := a.buildGuest(ctx, p, build.New(nil), cli.Quiet(cmd))
		if err != nil {
			return nil, nil, toolchainWords(err)
		}
		return guest.Signed, guest.Manifest, nil
	})
}

// invokeRunning calls the guest of a waxo dev.
func (a *app) invokeRunning(cmd *cobra.Command, running *control.Client, name string, c *invocation) ([]byte, error) {
	var answer invokeAnswer
	request := invokeRequest{c.operation.Capability, c.operation.Name, c.payload}
	if err := running.Call(cmd.Context(), requestInvoke, request, &answer); err != nil {
		return nil, err
	}
	if e := answer.Failed; e != nil {
		return nil, callError(&capability.Error{Code: e.Code, Message: e.Message, Detail: e.Detail})
	}
	if !cli.Quiet(cmd) {
		fmt.Fprintf(a.Err, "answered by %s in the waxo dev that runs, build %s\n", name, answer.Build)
	}
	return answer.Payload, nil
}

// serveInvocations answers the requests of waxo invoke.
func serveInvocations(host *devhost.Host) control.Handler {
	return control.Typed(func(ctx context.Context, r invokeRequest) (any, error) {
		reply, err := host.Call(ctx, r.Capability, r.Operation, r.Payload)
		answer := invokeAnswer{Build: reply.Build, Payload: reply.Payload}
		if err != nil {
			e := capability.AsError(err)
			answer.Failed = &callFailed{e.Code, e.Message, e.Detail}
		}
		return answer, nil
	})
}

// invokeAlone calls a guest that is started for it alone.
func (a *app) invokeAlone(cmd *cobra.Command, f *invokeFlags, c *invocation, load func(context.Context) ([]byte, *manifest.Manifest, error)) (answer []byte, err error) {
	ctx := cmd.Context()
	if err := a.scratch(); err != nil {
		return nil, err
	}
	opts, closing, err := a.stand(cmd, cmp.Or(f.providers, manifest.ProviderEmbedded), &f.plugins)
	if err != nil {
		return nil, err
	}
	defer func() { a.tellOf(cli.Within(ctx, closing)) }()
	module, m, err := load(ctx)
	if err != nil {
		return nil, err
	}
	var s *project.Stand
	if f.verbose {
		s, err = a.newStand(opts, true)
	} else { // what goes wrong is in the error
		s, err = project.NewStand(opts)
	}
	if err != nil {
		return nil, err
	}
	defer func() { a.tellOf(cli.Within(ctx, s.Close)) }()
	if err := s.Start(ctx, module, m); err != nil {
		if f.module != "" {
			err = fmt.Errorf("%s: %w", f.module, err)
		}
		if errors.As(err, new(*wapc.StartError)) && !f.verbose {
			err = fmt.Errorf("%w; what was logged is told with --verbose", err)
		}
		return nil, cli.TrustHint(err)
	}
	if answer, err = s.Call(ctx, c.operation.Capability, c.operation.Name, c.payload); err != nil {
		return nil, callError(err)
	}
	if !cli.Quiet(cmd) {
		fmt.Fprintf(a.Err, "answered by %s, started for this call\n", cmp.Or(f.module, m.Name))
	}
	return answer, nil
}

// callError is the error of a failed call, and below it what a developer wants to see of
// it. Most of it is the guest's own words, which may not steer the terminal.
func callError(err error) error {
	e := capability.AsError(err)
	text := printableLines(strings.TrimSuffix(e.Error()+"\n"+e.Detail, "\n"))
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", text, context.Canceled) // see cli.App
	}
	return errors.New(text)
}

func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable.Line(line)
	}
	return strings.Join(lines, "\n")
}

// printAnswer writes the payload of an answer.
func (a *app) printAnswer(format string, o registry.Operation, payload []byte) error {
	if o.Response == nil {
		if format == "json" {
			return writeJSON(a.Out, struct {
				Payload []byte `json:"payload"`
			}{append([]byte{}, payload...)})
		}
		if len(payload) > 0 && isTerminal(a.Out) {
			_, err := fmt.Fprintln(a.Out, printableLines(strings.TrimSuffix(string(payload), "\n")))
			return err
		}
		_, err := a.Out.Write(payload)
		return err
	}
	m, err := o.DecodeResponse(payload)
	if err != nil {
		return fmt.Errorf("%w; --raw prints it as it is", err)
	}
	marshal := registry.MarshalText
	if format == "json" {
		marshal = registry.MarshalJSON
	}
	text, err := marshal(m)
	if err != nil {
		return err
	}
	return writeJSON(a.Out, json.RawMessage(text))
}
