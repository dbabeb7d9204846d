package main

import (
	"bytes"
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

// invokeFlags are the flags of waxo invoke.
type invokeFlags struct {
	module    string
	providers string
	output    string
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
keys of this run), verified and started for this call alone; its services begin
empty, and what they keep ends with them. With --module, that is done with a signed
module, of any project or none.

OPERATION is one that guests handle: ` + strings.Join(guestOperations(""), ", ") + `. Or it is
CAPABILITY/OPERATION, which may be one of a capability of your own.

PAYLOAD is the operation's message in the JSON mapping of Protocol Buffers: names in
snake_case or lowerCamelCase, bytes in base64 or as {"text": "..."}; @FILE reads it
from a file, - from the standard input. Without it, the message is empty. The answer
is printed in the same way: as text, with bytes that are UTF-8 as {"text": "..."};
as json, with all bytes in base64. What is no message of the standard is passed on,
and printed, as it is (as json: {"payload": "<base64>"}).

A guest's error, a trap, a denied capability and a provider's failure are told apart
by the first word of the error; the exit status is 1.`,
		Example: `  waxo invoke HandleRequest '{"method": "GET", "path": "/"}'
  waxo invoke DeliverMessage '{"message": {"subject": "jobs", "body": {"text": "go"}}}'
  waxo invoke HealthRequest --module hello.wasm
  waxo invoke HandleRequest @request.json --providers container -o json`,
		Args: cli.Args(func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return fmt.Errorf("say what the guest is to handle: %s, or CAPABILITY/OPERATION", strings.Join(guestOperations(""), ", "))
			case 1, 2:
				return nil
			}
			return fmt.Errorf("there are %d arguments; put a payload with spaces in quotes", len(args))
		}),
	}
	cmd.Flags().StringVarP(&f.module, "module", "m", "", "file of a signed module to call, in place of the project's guest")
	cmd.Flags().StringVar(&f.providers, "providers", "", "what the services behind capabilities are: embedded, container, or manifest for where waxo.toml says (default: those of the waxo dev that runs, else embedded)")
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "tell all that the host and the guest log, on stderr")
	f.plugins.Add(cmd)
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.output = *format
		c, err := f.check(args[0])
		if err != nil {
			return err
		}
		if err := a.readPayload(c, args[1:]); err != nil {
			return err
		}
		answer, err := a.invoke(cmd, f, c)
		if err != nil {
			return err
		}
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
			return registry.Operation{}, fmt.Errorf("%s is an operation of %s, which guests call; they handle %s", arg, named[0].Capability, strings.Join(guestOperations(""), ", "))
		}
		return registry.Operation{}, fmt.Errorf("there is no operation %q; guests handle %s, and those of other capabilities as CAPABILITY/OPERATION", arg, strings.Join(guestOperations(""), ", "))
	}
	if o, ok := registry.Lookup(id, name); ok && o.ToGuest {
		return o, nil
	}
	if ofStandard := slices.ContainsFunc(registry.Operations(), func(o registry.Operation) bool { return o.Capability == id }); ofStandard {
		names := cmp.Or(strings.Join(guestOperations(id), ", "), "none")
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

// guestOperations are the names of the operations of a capability that guests
// handle, or of all capabilities.
func guestOperations(id string) []string {
	var names []string
	for _, o := range registry.Operations() {
		if o.ToGuest && (id == "" || o.Capability == id) {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return names
}

// readPayload makes the payload of the argument that gives it.
func (a *app) readPayload(c *invocation, args []string) (err error) {
	var given []byte
	switch {
	case len(args) == 0 && c.operation.Request != nil:
		given = []byte("{}")
	case len(args) == 0:
	case args[0] == "-":
		given, err = io.ReadAll(a.In)
	case strings.HasPrefix(args[0], "@"):
		given, err = os.ReadFile(args[0][1:])
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

// invoke makes the call and returns the payload of the answer.
func (a *app) invoke(cmd *cobra.Command, f *invokeFlags, c *invocation) ([]byte, error) {
	ctx := cmd.Context()
	if f.module != "" {
		module, err := os.ReadFile(f.module)
		if err != nil {
			return nil, err
		}
		return a.invokeAlone(cmd, f, c, func(context.Context) ([]byte, *manifest.Manifest, error) {
			return module, manifest.Defaults(), nil
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
	if !cli.Quiet(cmd) && answer.Build != "" {
		fmt.Fprintf(a.Err, "called build %s of %s in the waxo dev that runs\n", answer.Build, name)
	}
	if e := answer.Failed; e != nil {
		return nil, withDetail(&capability.Error{Code: e.Code, Message: e.Message, Detail: e.Detail})
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
	s, err := a.newStand(opts, f.verbose)
	if err != nil {
		return nil, err
	}
	defer func() { a.tellOf(cli.Within(ctx, s.Close)) }()
	if err := s.Start(ctx, module, m); err != nil {
		if f.module != "" {
			err = fmt.Errorf("%s: %w", f.module, err)
		}
		return nil, cli.TrustHint(err)
	}
	answer, err = s.Call(ctx, c.operation.Capability, c.operation.Name, c.payload)
	return answer, withDetail(err)
}

// withDetail puts what a developer wants to see of a failed call below its error.
func withDetail(err error) error {
	var e *capability.Error
	if errors.As(err, &e) && e.Detail != "" {
		return fmt.Errorf("%w\n%s", err, e.Detail)
	}
	return err
}

// printAnswer writes the payload of an answer.
func (a *app) printAnswer(format string, o registry.Operation, payload []byte) error {
	if o.Response == nil {
		if format == "json" {
			return writeJSON(a.Out, struct {
				Payload []byte `json:"payload"`
			}{append([]byte{}, payload...)})
		}
		if len(payload) > 0 && !bytes.HasSuffix(payload, []byte("\n")) && isTerminal(a.Out) {
			payload = append(payload, '\n')
		}
		_, err := a.Out.Write(payload)
		return err
	}
	m, err := o.DecodeResponse(payload)
	if err != nil {
		return err
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
