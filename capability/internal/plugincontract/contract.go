// Package plugincontract has what the two sides of a provider plugin agree on: the
// names, the numbers, and how identifiers and errors look on the wire.
// docs/providers.md is the contract in words. How either side speaks is its own
// business: capability/plugin is the host's, capability/plugin/serve the plugin's.
package plugincontract

import (
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
)

const (
	// CoreVersion is the version of go-plugin's protocol, Version that of the
	// messages and of what they mean.
	CoreVersion = 1
	Version     = 1

	// The variable by which a plugin knows that a host started it.
	CookieKey   = "WAXO_PROVIDER_PLUGIN"
	CookieValue = "waxo:provider"

	// Window is how much of a message may be under way before the other side has
	// read it, in bytes.
	Window = 4 << 20
)

// The service that a plugin serves.
const (
	Service  = "provider.Provider"
	Describe = "Describe"
	Bind     = "Bind"
	Call     = "Call"
	Unbind   = "Unbind"
	Close    = "Close"
	Dispatch = "Dispatch"
)

// Full is the name of a method of the service as gRPC has it.
func Full(method string) string { return "/" + Service + "/" + method }

// Message is what the generator gives every message.
type Message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
	UnmarshalProto([]byte) error
}

// ToID is an identifier's form on the wire.
func ToID(id capability.BindingID) *providerpb.BindingID {
	return &providerpb.BindingID{Guest: id.Guest, Name: id.Name}
}

// FromID is the identifier of a wire form; none for nil.
func FromID(id *providerpb.BindingID) capability.BindingID {
	if id == nil {
		return capability.BindingID{}
	}
	return capability.BindingID{Guest: id.Guest, Name: id.Name}
}

// ToFailure is an error's form on the wire, nil for nil. A string there is
// UTF-8, whatever the provider wrote.
func ToFailure(err error) *providerpb.Failure {
	if err == nil {
		return nil
	}
	e := capability.AsError(err)
	text := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
	return &providerpb.Failure{Code: text(string(e.Code)), Message: text(e.Message), Detail: text(e.Detail)}
}

// FromFailure is the error of a wire form; nil for nil. A code that is not known
// becomes CodeInternal, its name a part of the message.
func FromFailure(f *providerpb.Failure) error {
	if f == nil {
		return nil
	}
	e := capability.ParseError(f.Code + ": " + f.Message)
	e.Detail = f.Detail
	return e
}
