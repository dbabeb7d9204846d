package providersuite

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// contractFaults are those that a provider of any capability may have.
func contractFaults() []fault {
	kv := capability.KeyValue
	return []fault{
		{"it offers something else", kv, func() spoil {
			return spoil{describe: func(d *capability.Descriptor) { d.Capability = "vendor:other" }}
		}, []string{"CAP-300"}, nil},
		{"it offers what guests are called with", capability.Messaging, func() spoil {
			return spoil{describe: func(d *capability.Descriptor) { d.Operations = append(d.Operations, capability.OpDeliverMessage) }}
		}, []string{"CAP-300"}, nil},
		{"a second Bind succeeds", kv, func() spoil {
			return spoil{bound: func(_ capability.Binding, err error) error {
				if errors.Is(err, &capability.Error{Code: capability.CodeConflict}) {
					return nil
				}
				return err
			}}
		}, []string{"CAP-34"}, nil},
		{"a configuration with an unknown key is taken", kv, binds(func(config map[string]string) { delete(config, "no_provider_has_this_key") }), []string{"CAP-35"}, nil},
		{"who is not bound is told so in other words", kv, instead(capability.CodeUnavailable, capability.CodeInvalid), []string{"CAP-34"}, []string{"CAP-35", "CAP-301", "CAP-302", "CAP-48"}},
		{"to end what is not bound is an error", kv, strictUnbind, []string{"CAP-37"}, nil},
		{"a second Close is an error", kv, func() spoil {
			var closed atomic.Bool
			return spoil{close: func(err error) error {
				if closed.Swap(true) {
					return errors.New("it is closed")
				}
				return err
			}}
		}, []string{"CAP-301"}, nil},
		{"the end of one binding ends those of other names", kv, endsAll, []string{"CAP-302"}, []string{"CAP-34"}},
		{"an unknown operation answers nothing", kv, fails(capability.CodeUnsupported, func(capability.Call, error) ([]byte, error) { return nil, nil }), []string{"CAP-41"}, []string{"CAP-40"}},
		{"errors have codes of its own", kv, instead(capability.CodeUnsupported, "no_such_operation"), []string{"CAP-40", "CAP-41"}, nil},
		{"what cannot be decoded is an internal error", kv, fails(capability.CodeInvalid, func(_ capability.Call, err error) ([]byte, error) {
			if strings.Contains(err.Error(), "decoded") {
				return nil, &capability.Error{Code: capability.CodeInternal, Message: "panic"}
			}
			return nil, err
		}), []string{"CAP-42", "PAY-21", "PAY-22", "PAY-23", "PAY-24", "PAY-25"}, nil},
		{"the deadline is ignored", kv, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			return p.Call(context.WithoutCancel(ctx), c)
		}), []string{"CAP-46"}, nil},
		{"calls are made one after another", capability.HTTPClient, func() spoil {
			var locks sync.Map // by guest
			return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
				lock, _ := locks.LoadOrStore(c.Guest, new(sync.Mutex))
				lock.(*sync.Mutex).Lock()
				defer lock.(*sync.Mutex).Unlock()
				return p.Call(ctx, c)
			}}
		}, []string{"CAP-48"}, nil},
		{"unknown fields are refused", kv, payloads(func(number int, _ wire.Type, _ []byte) bool { return number < 100 }), []string{"PAY-11"}, nil},
		{"the first of two fields counts", kv, firstFields, []string{"PAY-13"}, nil},
		{"fields must be in order", kv, inOrder, []string{"PAY-12"}, []string{"PAY-13"}},
		{"text that is not UTF-8 is mended", kv, mendsText, []string{"PAY-25", "CAP-42"}, nil},
		{"numbers may not be longer than need be", kv, shortNumbers, []string{"PAY-18"}, nil},
		{"a field of another wire type is refused", kv, payloads(func(number int, t wire.Type, _ []byte) bool { return number != 1 || t == wire.Bytes }), []string{"PAY-20"}, nil},
		{"what ends too soon is filled up", kv, fillsUp, []string{"PAY-21", "CAP-42"}, []string{"CAP-40", "PAY-24", "PAY-25"}},
		{"the empty payload is refused", capability.Extras, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			if len(c.Payload) == 0 {
				return nil, &capability.Error{Code: capability.CodeInvalid, Message: "there is no payload"}
			}
			return p.Call(ctx, c)
		}), []string{"PAY-10"}, []string{"EXT-5", "CAP-41"}},
		{"answers are JSON", kv, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if err == nil && c.Operation == capability.OpSet {
				answer = []byte(`{"value": ""}`)
			}
			return answer, err
		}), []string{"PAY-1", "PAY-2"}, []string{"KV-1", "KV-2", "KV-3", "KV-5", "KV-6", "KV-7", "KV-8", "KV-9", "KV-10", "KV-11", "KV-41", "CAP-33"}},
		{"negative numbers take five bytes", kv, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			return bytes.ReplaceAll(answer, []byte("\xff\xff\xff\xff\xff\x01"), []byte("\x0f")), err
		}), []string{"PAY-5"}, nil},
	}
}

func strictUnbind() spoil {
	var bound capability.Bindings[struct{}]
	return spoil{
		bound: func(b capability.Binding, err error) error {
			if err == nil {
				return bound.Add(b.BindingID, struct{}{})
			}
			return err
		},
		unbind: func(p capability.Provider, ctx context.Context, id capability.BindingID) error {
			if _, ok, _ := bound.Remove(ctx, id); !ok {
				return &capability.Error{Code: capability.CodeNotFound, Message: "it is not bound"}
			}
			return p.Unbind(ctx, id)
		},
	}
}

func endsAll() spoil {
	return spoil{unbind: func(p capability.Provider, ctx context.Context, id capability.BindingID) error {
		for _, name := range []string{capability.DefaultBinding, "second"} {
			if err := p.Unbind(ctx, capability.BindingID{Guest: id.Guest, Name: name}); err != nil {
				return err
			}
		}
		return nil
	}}
}

// payloads refuses those that have a field which is not taken.
func payloads(takes func(number int, t wire.Type, field []byte) bool) func() spoil {
	return calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		for _, f := range fields(c.Payload) {
			if !takes(f.number, f.t, f.bytes) {
				return nil, &capability.Error{Code: capability.CodeInvalid, Message: "the payload cannot be decoded"}
			}
		}
		return p.Call(ctx, c)
	})
}

type field struct {
	number int
	t      wire.Type
	bytes  []byte
}

// fields are those of a payload, as far as it can be read.
func fields(payload []byte) []field {
	var all []field
	for rest := payload; len(rest) > 0; {
		number, t, after, err := wire.ReadTag(rest)
		if err == nil {
			after, err = wire.Skip(after, number, t)
		}
		if err != nil {
			return all
		}
		all = append(all, field{number, t, rest[:len(rest)-len(after)]})
		rest = after
	}
	return all
}

// firstFields leaves out what was there before.
func firstFields() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		if c.Operation == capability.OpSet && new(pb.SetRequest).UnmarshalProto(c.Payload) == nil {
			var kept []byte
			seen := make(map[int]bool)
			for _, f := range fields(c.Payload) {
				if f.number > 3 || !seen[f.number] {
					kept = append(kept, f.bytes...)
				}
				seen[f.number] = seen[f.number] || f.t != wire.Fixed32
			}
			c.Payload = kept
		}
		return p.Call(ctx, c)
	}}
}

// inOrder stops where a field comes that should have come before.
func inOrder() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		last := 0
		for _, f := range fields(c.Payload) {
			if f.number < 100 && f.number < last && f.t == wire.Bytes {
				return nil, &capability.Error{Code: capability.CodeInvalid, Message: "the payload cannot be decoded"}
			}
			if f.number < 100 {
				last = f.number
			}
		}
		return p.Call(ctx, c)
	}}
}

func mendsText() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		if all := fields(c.Payload); c.Operation == capability.OpSet && len(all) == 1 && all[0].t == wire.Bytes && !utf8.Valid(all[0].bytes) {
			c.Payload = (&pb.SetRequest{Key: "pmended"}).AppendProto(nil)
		}
		return p.Call(ctx, c)
	}}
}

func shortNumbers() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.SetRequest
		if c.Operation == capability.OpSet && r.UnmarshalProto(c.Payload) == nil && len(fields(c.Payload)) == 2 && r.ProtoSize() < len(c.Payload) && bytes.Contains(c.Payload, []byte("\x8a\x00")) {
			return nil, &capability.Error{Code: capability.CodeInvalid, Message: "the payload cannot be decoded"}
		}
		return p.Call(ctx, c)
	}}
}

// fillsUp takes what there is of a payload.
func fillsUp() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		if err != nil && strings.Contains(err.Error(), wire.ErrTruncated.Error()) {
			return nil, nil
		}
		return answer, err
	}}
}
