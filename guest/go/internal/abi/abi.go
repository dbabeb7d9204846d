// Package abi is the call protocol from the guest's side: it keeps the handlers,
// runs them, and carries host calls, in buffers that are used again.
//
// In a guest the other side is the host, by the imports of module wapc. In a
// native build, as under go test, it is the Host that package waxotest installs.
package abi

import (
	"errors"
	"strings"
)

// Handler handles one operation. The payload is its own until it returns; the
// response is the caller's until the next call.
type Handler func(payload []byte) (response []byte, err error)

type registration struct {
	operation string
	handle    Handler
}

// A guest is one instance that serves one call at a time, and what it handles
// stands when its package initialisation is over.
var (
	handlers []registration
	health   func() error
	served   bool // a call has come: it is too late to register
)

const healthOperation = "HealthRequest"

// Register has h handle operation, in the form "capability!Operation" or bare.
// It panics where that cannot be meant.
func Register(operation string, h Handler) {
	switch {
	case operation == "" || strings.HasSuffix(operation, "!"):
		panic("waxo: a handler needs the name of its operation")
	case h == nil:
		panic("waxo: the handler of " + operation + " is nil")
	case bare(operation) == healthOperation:
		panic("waxo: " + operation + " is answered by the SDK: use waxo.OnHealth")
	}
	mustBeEarly("the handler of " + operation)
	for _, r := range handlers {
		if r.operation == operation {
			panic("waxo: two handlers for " + operation + ": a guest has one for each operation, which may tell requests apart (http.Router does)")
		}
	}
	handlers = append(handlers, registration{operation, h})
}

// SetHealth has check answer the host's question whether the guest is well.
func SetHealth(check func() error) {
	if check == nil {
		panic("waxo: the health check is nil")
	}
	mustBeEarly("the health check")
	if health != nil {
		panic("waxo: two health checks: a guest has one")
	}
	health = check
}

func mustBeEarly(what string) {
	if served {
		panic("waxo: " + what + " is registered after the first call: register it in func init() of package main")
	}
}

func bare(operation string) string {
	return operation[strings.IndexByte(operation, '!')+1:]
}

var errNoHandlers = errors.New("unsupported: this guest has no handler: register one in func init() of package main, " +
	"such as http.Handle(serve); func main does not run in a guest")

// Dispatch answers one call of the host; failure is the error text of a call
// that is not ok. A handler that panics has failed, and its stack goes to the
// console.
func Dispatch(operation string, payload []byte) (response []byte, failure string, ok bool) {
	served = true
	h, err := find(operation)
	if err != nil {
		return nil, err.Error(), false
	}
	return protect(h, payload)
}

// find looks for the handler of an operation, by its whole name, or by the bare
// one where the host's generation of guests says no more.
func find(operation string) (Handler, error) {
	switch {
	case len(handlers) == 0:
		return nil, errNoHandlers
	case bare(operation) == healthOperation:
		return checkHealth, nil
	}
	var found Handler
	for _, r := range handlers {
		if r.operation == operation {
			return r.handle, nil
		}
		if bare(r.operation) != operation {
			continue
		}
		if found != nil {
			return nil, errors.New("invalid: " + operation + " may be more than one of this guest's operations: " + known())
		}
		found = r.handle
	}
	if found == nil {
		return nil, errors.New("unsupported: this guest has no handler for " + operation + ", but for " + known())
	}
	return found, nil
}

func known() string {
	names := make([]string, len(handlers))
	for i, r := range handlers {
		names[i] = r.operation
	}
	return strings.Join(names, ", ")
}

func checkHealth([]byte) ([]byte, error) {
	if health == nil {
		return nil, nil
	}
	return nil, health()
}
