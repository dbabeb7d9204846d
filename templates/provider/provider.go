package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

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
	s := &store{values: make(map[string]value), limit: defaultKeys}
	for key, text := range b.Config {
		limit, err := strconv.Atoi(text)
		if key != "max_keys" {
			return invalid("there is no configuration key %q: there is max_keys", key)
		}
		if err != nil || limit < 1 {
			return invalid("max_keys is %q: it takes a number from 1 on", text)
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
	values map[string]value
	limit  int
}

// value is what a key holds.
type value struct {
	text  string
	until time.Time // zero: for ever
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
	v, exists := s.lookUp(r.Key)
	return &keyvaluepb.GetResponse{Value: v.text, Exists: exists}, nil
}

func (s *store) set(r *keyvaluepb.SetRequest) (message, error) {
	v := value{text: r.Value}
	switch {
	case r.ExpiresS < 0:
		return nil, invalid("a key cannot expire after %d seconds", r.ExpiresS)
	case r.ExpiresS > 0:
		v.until = time.Now().Add(time.Duration(r.ExpiresS) * time.Second)
	}
	return &keyvaluepb.SetResponse{Value: r.Value}, s.put(r.Key, v)
}

func (s *store) del(r *keyvaluepb.DelRequest) (message, error) {
	delete(s.values, r.Key)
	return &keyvaluepb.DelResponse{Key: r.Key}, nil
}

// add leaves the end of a key that has one as it is.
func (s *store) add(r *keyvaluepb.AddRequest) (message, error) {
	v, exists := s.lookUp(r.Key)
	var old int64
	if exists {
		var err error
		old, err = strconv.ParseInt(v.text, 10, 64)
		if err != nil || strconv.FormatInt(old, 10) != v.text {
			return nil, &capability.Error{Code: capability.CodeWrongKind, Message: fmt.Sprintf("the key %q holds no number", r.Key)}
		}
	}
	sum := old + int64(r.Value)
	if sum != int64(int32(sum)) || old > math.MaxInt64/2 || old < math.MinInt64/2 {
		return nil, &capability.Error{Code: capability.CodeOutOfRange, Message: "the sum does not fit into 32 bits"}
	}
	v.text = strconv.FormatInt(sum, 10)
	return &keyvaluepb.AddResponse{Value: int32(sum)}, s.put(r.Key, v)
}

// lookUp returns what a key holds, and removes it where its time is over.
func (s *store) lookUp(key string) (v value, exists bool) {
	v, exists = s.values[key]
	if exists && !v.until.IsZero() && !time.Now().Before(v.until) {
		delete(s.values, key)
		return value{}, false
	}
	return v, exists
}

// put stores a value where there is room.
func (s *store) put(key string, v value) error {
	if _, exists := s.lookUp(key); !exists && len(s.values) >= s.limit {
		s.sweep()
	}
	if _, exists := s.values[key]; !exists && len(s.values) >= s.limit {
		return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf("there are %d keys already: delete some, or raise max_keys", s.limit)}
	}
	s.values[key] = v
	return nil
}

// sweep removes what nobody has looked up since its time was over.
func (s *store) sweep() {
	for key := range s.values {
		s.lookUp(key)
	}
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
