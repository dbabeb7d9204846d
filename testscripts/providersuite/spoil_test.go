package providersuite

import (
	"context"
	"errors"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// spoiled is a good provider of which one thing is spoiled.
type spoiled struct {
	capability.Provider
	spoil spoil
}

// spoil says what is different; what is not set is as it was. It is made anew for
// each provider, so that it may remember something.
type spoil struct {
	describe func(d *capability.Descriptor)
	bind     func(b *capability.Binding)
	bound    func(b capability.Binding, err error) error
	call     func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error)
	unbind   func(p capability.Provider, ctx context.Context, id capability.BindingID) error
	close    func(err error) error
	takes    func(id capability.BindingID, d capability.Dispatcher)
	dispatch func(p capability.Provider, d delivery) (capability.Reply, error)
}

// delivery is an operation on its way to the guest.
type delivery struct {
	ctx       context.Context
	to        capability.Dispatcher
	id        capability.BindingID
	operation string
	payload   []byte
}

// pass hands a payload on.
func (d delivery) pass(payload []byte) (capability.Reply, error) {
	return d.to.Dispatch(d.ctx, d.operation, payload, nil)
}

func (s *spoiled) Describe() capability.Descriptor {
	d := s.Provider.Describe()
	if s.spoil.describe != nil {
		s.spoil.describe(&d)
	}
	return d
}

func (s *spoiled) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	if s.spoil.bind != nil {
		s.spoil.bind(&b)
	}
	if s.spoil.takes != nil {
		s.spoil.takes(b.BindingID, d)
	}
	if s.spoil.dispatch != nil {
		d = &spoiledDispatcher{s, b.BindingID, d}
	}
	err := s.Provider.Bind(ctx, b, d)
	if s.spoil.bound != nil {
		err = s.spoil.bound(b, err)
	}
	return err
}

func (s *spoiled) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	if s.spoil.call != nil {
		return s.spoil.call(s.Provider, ctx, c)
	}
	return s.Provider.Call(ctx, c)
}

func (s *spoiled) Unbind(ctx context.Context, id capability.BindingID) error {
	if s.spoil.unbind != nil {
		return s.spoil.unbind(s.Provider, ctx, id)
	}
	return s.Provider.Unbind(ctx, id)
}

func (s *spoiled) Close(ctx context.Context) error {
	err := s.Provider.Close(ctx)
	if s.spoil.close != nil {
		err = s.spoil.close(err)
	}
	return err
}

type spoiledDispatcher struct {
	s  *spoiled
	id capability.BindingID
	to capability.Dispatcher
}

func (d *spoiledDispatcher) Dispatch(ctx context.Context, operation string, payload, _ []byte) (capability.Reply, error) {
	return d.s.spoil.dispatch(d.s.Provider, delivery{ctx, d.to, d.id, operation, payload})
}

// message is a pointer to a payload.
type message[T any] interface {
	*T
	parity.Message
}

// asks changes the requests of an operation.
func asks[T any, P message[T]](operation string, change func(r P)) func() spoil {
	return func() spoil {
		return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			r := P(new(T))
			if c.Operation == operation && r.UnmarshalProto(c.Payload) == nil {
				change(r)
				c.Payload = r.AppendProto(nil)
			}
			return p.Call(ctx, c)
		}}
	}
}

// answers changes the answers to an operation.
func answers[T any, P message[T]](operation string, change func(r P)) func() spoil {
	return exchanges(operation, func(r P, _ *struct{}) { change(r) })
}

// exchanges changes the answers to an operation, by what was asked.
func exchanges[T, Q any, P message[T]](operation string, change func(r P, q *Q)) func() spoil {
	return func() spoil {
		return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			r, q := P(new(T)), new(Q)
			if m, ok := any(q).(parity.Message); ok && m.UnmarshalProto(c.Payload) != nil {
				return answer, err
			}
			if err == nil && c.Operation == operation && r.UnmarshalProto(answer) == nil {
				change(r, q)
				answer = r.AppendProto(nil)
			}
			return answer, err
		}}
	}
}

// fails changes the errors of calls of a kind; nil is success.
func fails(code capability.Code, change func(c capability.Call, err error) ([]byte, error)) func() spoil {
	return func() spoil {
		return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if errors.Is(err, &capability.Error{Code: code}) {
				return change(c, err)
			}
			return answer, err
		}}
	}
}

// instead has errors of a kind be of another.
func instead(code, other capability.Code) func() spoil {
	return fails(code, func(_ capability.Call, err error) ([]byte, error) {
		return nil, &capability.Error{Code: other, Message: capability.AsError(err).Message}
	})
}

// delivers changes what comes to guests.
func delivers[T any, P message[T]](operation string, change func(r P)) func() spoil {
	return func() spoil {
		return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
			r := P(new(T))
			if d.operation != operation || r.UnmarshalProto(d.payload) != nil {
				return d.pass(d.payload)
			}
			change(r)
			return d.pass(r.AppendProto(nil))
		}}
	}
}

// handles changes what guests answer.
func handles[T any, P message[T]](change func(r P)) func() spoil {
	return func() spoil {
		return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
			reply, err := d.pass(d.payload)
			r := P(new(T))
			if err == nil && r.UnmarshalProto(reply.Payload) == nil {
				change(r)
				reply.Payload = r.AppendProto(nil)
			}
			return reply, err
		}}
	}
}

// binds changes configurations.
func binds(change func(config map[string]string)) func() spoil {
	return func() spoil {
		return spoil{bind: func(b *capability.Binding) { change(b.Config) }}
	}
}

// calls changes calls as a whole.
func calls(call func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error)) func() spoil {
	return func() spoil { return spoil{call: call} }
}

// ask performs an operation for the guest of a call.
func ask[T any, P message[T]](p capability.Provider, ctx context.Context, c capability.Call, operation string, request parity.Message) (P, error) {
	answer, err := p.Call(ctx, capability.Call{BindingID: c.BindingID, Operation: operation, Payload: request.AppendProto(nil)})
	r := P(new(T))
	if err == nil {
		err = r.UnmarshalProto(answer)
	}
	return r, err
}
