// Package waxo is the root of the SDK with which guests are written in Go.
//
// A guest is a WebAssembly module that touches nothing but the capabilities its
// manifest names. Package http has it answer requests, packages msg and events
// take messages and events, package blob takes the chunks of blobs; these and
// packages kv, log, clock and extras call what the host offers; this package holds what they share, and reaches capabilities
// that have no package of their own.
//
// A guest is a library: the host initialises it once and then calls its handlers.
// They are registered during initialisation; func main must be there, as Go
// requires, but it never runs:
//
//	package main
//
//	import "github.com/waxosuit/waxo/guest/go/http"
//
//	func init() { http.Handle(hello) }
//
//	func main() {}
//
//	func hello(*http.Request) (*http.Response, error) {
//		return http.Text(200, "hello\n"), nil
//	}
//
// An instance of a guest serves one call at a time. The host may run many
// instances and may drop any between two calls, so what must last belongs into a
// capability such as key-value, not into a variable.
//
// A handler that returns an error, or panics, fails its own call alone; the
// stack of a panic goes to the console. What Go itself cannot recover from, such
// as a stack overflow or a deadlock, ends the instance, and the host replaces
// it. Goroutines run while a call is being handled and stand still between
// calls.
//
// What a call needs is used again by the next one, so that it costs the guest little.
// Strings may always be kept. Byte slices that a handler is given, and an
// http.Request, end with the call: what is to outlast it must be copied.
//
// Natively, under go test, the same code runs against the in-memory host of
// package waxotest. The SDK is written to suit TinyGo too, but is tested with Go
// alone.
package waxo

import "github.com/waxosuit/waxo/guest/go/internal/abi"

// Version is the version of the SDK.
const Version = "0.1.0"

// DefaultBinding is the binding of a capability that is meant where none is named.
const DefaultBinding = "default"

// Handle has handler answer an operation of the host, such as
// "vendor:queue!Deliver". The payload is valid until handler returns; the
// response may be used again in the next call.
//
// It is for capabilities that have no package of their own; for HTTP there is
// http.Handle. Call it in func init. It panics where handler is nil, the
// operation has a handler already, or a call has come before.
func Handle(operation string, handler func(payload []byte) ([]byte, error)) {
	abi.Register(operation, handler)
}

// OnHealth has check answer when the host asks whether the guest is well: an
// error says that it is not, and why. A guest without a check is well if it has a
// handler. Call it in func init; like Handle it panics where that cannot be
// meant.
func OnHealth(check func() error) { abi.SetHealth(check) }

// Call performs an operation, such as "vendor:queue!Push", of a capability, such
// as "vendor:queue", with the given binding. The response is the caller's own.
// The error is an *Error.
//
// It is for capabilities that have no package of their own.
func Call(binding, capability, operation string, payload []byte) ([]byte, error) {
	x := abi.Begin()
	defer x.End()
	x.Request = append(x.Request, payload...)
	response, failure, ok := x.Call(binding, capability, operation)
	if !ok {
		return nil, ParseError(failure)
	}
	return append([]byte(nil), response...), nil
}
