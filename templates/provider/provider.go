package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// defaultKeys is how many keys a binding may have where its config does not say.
const defaultKeys = 10_000

// provider gives each binding a store of its own, which ends with the binding.
type provider struct {
	bindings capability.Bindings[*store]
}

var _ capability.Provider = (*provider)(nil)

func newProvider() *provider { return new(provider) }

// Describe implements capability.Provider. What is not in Operations, the host
// refuses without asking.
func (p *provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.KeyValue,
		Name:       "key-value in memory",
		Version:    "0.1.0",
		Operations: []string{capability.OpGet, capability.OpSet, capability.OpDel, capability.OpAdd},
	}
}

// Bind implements capability.Provider. The config is that of the [[bind]] table
// in waxo.toml; this provider knows the key "max_keys". The dispatcher would call
// the guest, which a store never does.
func (p *provider) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	s := &store{values: make(map[string]string), limit: defaultKeys}
	for key, value := range b.Config {
		limit, err := strconv.Atoi(value)
		if key != "max_keys" {
			return invalid("there is no configuration key %q: there is max_keys", key)
		}
		if err != nil || limit < 1 {
			return invalid("max_keys is %q: it takes a number from 1 on", value)
		}
		s.limit = limit
	}
	return p.bindings.Add(b.BindingID, s)
}

// Call implements capability.Provider.
func (p *provider) Call(_ context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	return b.Value.call(c)
}

// Unbind implements capability.Provider.
func (p *provider) Unbind(ctx context.Context, id capability.BindingID) error {
	_, _, err := p.bindings.Remove(ctx, id)
	return err
}

// Close implements capability.Provider.
func (p *provider) Close(ctx context.Context) error {
	_, err := p.bindings.Close(ctx)
	return err
}

// store is what one binding keeps.
type store struct {
	mu     sync.Mutex
	values map[string]string
	limit  int
}

// message is a payload.
type message interface {
	UnmarshalProto([]byte) error
	AppendProto([]byte) []byte
}

// call decodes the payload of an operation, performs it, and encodes the answer
// where the caller has room for it.
func (s *store) call(c capability.Call) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer message
	var err error
	switch c.Operation {
	case capability.OpGet:
		answer, err = perform(c, s.get)
	case capability.OpSet:
		answer, err = perform(c, s.set)
	case capability.OpDel:
		answer, err = perform(c, s.del)
	case capability.OpAdd:
		answer, err = perform(c, s.add)
	default:
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: fmt.Sprintf("there is no operation %q here", c.Operation)}
	}
	if err != nil {
		return nil, err
	}
	return answer.AppendProto(c.Into[:0]), nil
}

func perform[T any, P interface {
	*T
	message
}](c capability.Call, operation func(P) (message, error)) (message, error) {
	request := P(new(T))
	if err := request.UnmarshalProto(c.Payload); err != nil {
		return nil, invalid("the payload of %s cannot be decoded: %v", c.Operation, err)
	}
	return operation(request)
}

func (s *store) get(r *keyvaluepb.GetRequest) (message, error) {
	value, exists := s.values[r.Key]
	return &keyvaluepb.GetResponse{Value: value, Exists: exists}, nil
}

func (s *store) set(r *keyvaluepb.SetRequest) (message, error) {
	if r.ExpiresS != 0 {
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "values do not expire here"}
	}
	return &keyvaluepb.SetResponse{Value: r.Value}, s.put(r.Key, r.Value)
}

func (s *store) del(r *keyvaluepb.DelRequest) (message, error) {
	delete(s.values, r.Key)
	return &keyvaluepb.DelResponse{Key: r.Key}, nil
}

func (s *store) add(r *keyvaluepb.AddRequest) (message, error) {
	var old int64
	if value, ok := s.values[r.Key]; ok {
		var err error
		if old, err = strconv.ParseInt(value, 10, 32); err != nil {
			return nil, &capability.Error{Code: capability.CodeWrongKind, Message: fmt.Sprintf("the key %q holds no number", r.Key)}
		}
	}
	sum := old + int64(r.Value)
	if sum != int64(int32(sum)) {
		return nil, &capability.Error{Code: capability.CodeOutOfRange, Message: "the sum does not fit into 32 bits"}
	}
	return &keyvaluepb.AddResponse{Value: int32(sum)}, s.put(r.Key, strconv.FormatInt(sum, 10))
}

// put stores a value where there is room.
func (s *store) put(key, value string) error {
	if _, exists := s.values[key]; !exists && len(s.values) >= s.limit {
		return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf("there are %d keys already: delete some, or raise max_keys", s.limit)}
	}
	s.values[key] = value
	return nil
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
