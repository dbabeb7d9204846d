package project

import (
	"cmp"
	"context"
	"maps"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
)

func hostCommands() []command {
	return []command{
		{Command: script.Command{
			Name:  "start",
			Short: "Starts the guest: it is verified, bound and asked for its health, as in production.",
			Long: "Commands that need the guest start it by themselves. Where `! start` is expected, stderr says why it was refused. " +
				"Programs find the addresses of the guest and of its services in the environment: `WAXO_URL`, `WAXO_KEYVALUE_URL` and the like.",
			Example: "start\n[exec:curl] exec curl -s $WAXO_URL/\n[exec:curl] stdout count",
		}, run: func(ctx context.Context, c *call) error {
			if err := c.takes(0, 0); err != nil {
				return err
			}
			return c.start(ctx)
		}},
		{Command: script.Command{
			Name:    "halt",
			Short:   "Ends the guest. What is in its stores stays there.",
			Example: "http POST /\nhalt\n! http GET /\nstderr refused",
		}, run: func(ctx context.Context, c *call) error {
			if err := c.takes(0, 0); err != nil {
				return err
			}
			return c.halt(ctx)
		}},
		{Command: script.Command{
			Name:    "restart",
			Short:   "Ends the guest if it runs, and starts it again: with the module and the claims as they are now.",
			Example: "http POST /\nrestart\nhttp GET /\njson .count 1",
		}, run: func(ctx context.Context, c *call) error {
			if err := c.takes(0, 0); err != nil {
				return err
			}
			if err := c.stand.Stop(ctx); err != nil {
				return err
			}
			return c.start(ctx)
		}},
		{Command: script.Command{
			Name: "call", Args: "CAPABILITY OPERATION [JSON|@FILE]",
			Short: "Has the guest handle an operation, with a payload in JSON that is encoded for it.",
			Long: "The payload is the operation's message in the JSON mapping of Protocol Buffers; fields that hold bytes may be written `{\"text\": \"...\"}`. " +
				"The answer is written to stdout in the same way, an error to stderr. `core` is the capability of `HealthRequest`.",
			Example: "call wascap:http_server HandleRequest '{\"method\":\"GET\",\"path\":\"/\"}'\njson .status_code 200\ncall core HealthRequest",
		}, run: runCall},
		{Command: script.Command{
			Name: "provider", Args: "CAPABILITY[/BINDING] OPERATION [JSON|@FILE]",
			Short:   "Calls an operation of a provider as the guest would, under the configuration of the guest's binding.",
			Long:    "What a fault does to the guest's own calls does not concern these.",
			Example: "provider wascap:keyvalue SetAdd '{\"key\":\"colours\",\"value\":\"red\"}'\njson .new_count 1",
		}, run: runProvider},
	}
}

func runCall(ctx context.Context, c *call) error {
	if err := c.takes(2, 3); err != nil {
		return err
	}
	operation, payload, err := c.encode(c.args[0], c.args[1], c.args[2:], true)
	if err != nil {
		return err
	}
	if err := c.serve(); err != nil {
		return err
	}
	answer, err := c.stand.Call(ctx, operation.Capability, operation.Name, payload)
	if err != nil {
		return err
	}
	return c.decode(operation, answer)
}

func runProvider(ctx context.Context, c *call) error {
	if err := c.takes(2, 3); err != nil {
		return err
	}
	id, name := binding(c.args[0])
	operation, payload, err := c.encode(id, c.args[1], c.args[2:], false)
	if err != nil {
		return err
	}
	answer, err := c.ask(ctx, id, name, operation.Name, payload)
	if err != nil {
		return err
	}
	return c.decode(operation, answer)
}

// binding takes CAPABILITY/BINDING apart.
func binding(target string) (id, name string) {
	id, name, named := strings.Cut(target, "/")
	if !named {
		name = capability.DefaultBinding
	}
	return id, name
}

// encode makes the payload of an operation.
func (c *call) encode(id, name string, given []string, toGuest bool) (registry.Operation, []byte, error) {
	operation, ok := registry.Lookup(id, name)
	if !ok || operation.ToGuest != toGuest {
		return operation, nil, usagef("%s has no operation %q of this direction; there are %s", id, name, operations(id, toGuest))
	}
	text := "{}"
	if len(given) > 0 {
		var err error
		if text, err = c.text(given[0]); err != nil {
			return operation, nil, err
		}
	}
	payload, err := operation.EncodeRequest([]byte(text))
	if err != nil {
		return operation, nil, usage{err}
	}
	return operation, payload, nil
}

func operations(id string, toGuest bool) string {
	return cmp.Or(strings.Join(registry.Names(id, toGuest), ", "), "none")
}

// decode writes the answer of an operation.
func (c *call) decode(operation registry.Operation, answer []byte) error {
	if operation.Response == nil {
		c.print(string(answer))
		return nil
	}
	message, err := operation.DecodeResponse(answer)
	if err != nil {
		return err
	}
	text, err := registry.MarshalJSON(message)
	if err != nil {
		return err
	}
	v, err := decodeJSON(string(text))
	if err != nil {
		return err
	}
	c.print(prettyJSON(v))
	return nil
}

// own is whom the script's own bindings belong to.
const own = "the script"

// ask calls a provider on behalf of the script.
func (s *session) ask(ctx context.Context, id, name, operation string, payload []byte) ([]byte, error) {
	if err := s.connect(); err != nil {
		return nil, err
	}
	b, err := s.stand.bind(id, name)
	if err != nil {
		return nil, usage{err}
	}
	key := capability.BindingID{Guest: own, Name: id + "/" + name}
	if !s.clients[key] {
		config := maps.Clone(b.Config)
		for _, incoming := range incomingKeys {
			delete(config, incoming)
		}
		if id == capability.HTTPServer {
			return nil, usagef("%s has no operations for guests to call", id)
		}
		if err := s.bindOwn(ctx, b.Provider, key, config, s.chunkTaker(id)); err != nil {
			return nil, err
		}
	}
	return b.Provider.Call(ctx, capability.Call{BindingID: key, Operation: operation, Payload: payload})
}

// bindOwn binds a provider to the script.
func (s *session) bindOwn(ctx context.Context, p capability.Provider, key capability.BindingID, config map[string]string, d capability.Dispatcher) error {
	err := p.Bind(ctx, capability.Binding{BindingID: key, GuestName: own, Config: config, Development: true}, d)
	if err == nil {
		s.clients[key] = true
	}
	return err
}

// incomingKeys are the keys of a configuration that have something brought to the
// guest, which is not to be brought to the script as well.
var incomingKeys = []string{"subscriptions", "queue_group", "deliver"}
