// Package capability is the contract between the host and those who offer
// capabilities to its guests.
//
// It says what a provider is, how operations are named on the wire, and how
// errors keep their kind when they cross from a provider to the host, from the
// host to a guest, or from one process to another. Everything that the contract
// hands over is data, so a provider may live in another process.
//
// It knows nothing of WebAssembly and nothing of claims: the host decides who
// may call what, before a provider hears of it.
package capability

import "context"

// Provider offers one capability to guests. Its methods may be called from
// several goroutines at once.
type Provider interface {
	// Describe says what the provider offers. It never changes and never
	// blocks.
	Describe() Descriptor

	// Bind connects the provider to a guest under a binding name. It returns
	// an *Error of CodeInvalid where the configuration is wrong, CodeConflict
	// where the binding exists already, CodeUnavailable where the service behind
	// the provider cannot be reached.
	Bind(ctx context.Context, b Binding, d Dispatcher) error

	// Call performs an operation for a bound guest. The payload and the room
	// for the answer, Call.Into, are the provider's only until Call returns.
	// The answer is the caller's, and may lie in Call.Into. Every error is an
	// *Error, or counts as one of CodeInternal.
	Call(ctx context.Context, c Call) ([]byte, error)

	// Unbind ends a binding: what it started for the guest has stopped when it
	// returns, work in hand is finished first within ctx. Where that is work of
	// the guest, the guest's calls are served until it is. To unbind what is not
	// bound is no error.
	Unbind(ctx context.Context, b BindingID) error

	// Close ends all bindings and releases everything. It may be called twice.
	Close(ctx context.Context) error
}

// Dispatcher carries an operation to a guest. The host implements it.
type Dispatcher interface {
	// Dispatch has the guest handle operation, by its bare name such as
	// OpHandleRequest. Every error is an *Error: CodeGuest, -Trap, -Deadline,
	// -Memory, -Denied, -Provider, -Overloaded, -Unavailable, -TooLarge or -Canceled.
	// The reply's Build is set with an error too, where a build was involved.
	//
	// The answer may be appended to into[:0], which may be nil, and so may lie in
	// into. payload and into are the Dispatcher's until it returns, and for ever
	// where it returns an error: a call that was given up may not have ended
	// everywhere yet.
	Dispatch(ctx context.Context, operation string, payload, into []byte) (Reply, error)
}

// Reply is a guest's answer.
type Reply struct {
	Payload []byte // the caller's own; may lie in the room that it gave
	Build   string // which build answered; empty outside development
}

// Descriptor says what a provider offers.
type Descriptor struct {
	Capability string   // such as KeyValue, or a vendor's own "vendor:name"
	Name       string   // the implementation, for people: "Redis key-value"
	Version    string   // the implementation's version
	Operations []string // guest to host, bare names; nil: any operation
}

// BindingID names a binding: a provider serves each guest under one or more
// binding names.
type BindingID struct {
	Guest string // the module's public key, "M..."
	Name  string // the binding's name; the usual one is DefaultBinding
}

// DefaultBinding is the binding that a guest reaches which names none.
const DefaultBinding = "default"

// Binding is what a provider is bound with.
type Binding struct {
	BindingID
	GuestName   string            // the guest's name in its claims, for logs
	Config      map[string]string // the provider documents its keys
	Development bool              // answers may show internals
}

// Call is one call of a guest to a provider.
type Call struct {
	BindingID
	Operation string // bare name, such as OpGet
	Payload   []byte
	Into      []byte // room for the answer, from Into[:0] on; what is in it means nothing; may be nil
}
