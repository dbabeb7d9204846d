//go:build !(wasip1 || wasm_unknown)

package abi

import "sync"

func current() Host {
	installed.Lock()
	defer installed.Unlock()
	return installed.host
}

// Natively, handlers may run at the same time.
var spare sync.Pool

func take() *Exchange {
	x, _ := spare.Get().(*Exchange)
	return x
}

func put(x *Exchange) { spare.Put(x) }

// Reuse tells that what served one call must not serve the next: handlers may run
// at the same time.
const Reuse = false

// unaligned tells that words may be read from any address: not everywhere.
const unaligned = false

// Alone is never asked where Reuse is false.
func Alone() bool { return false }

// Call has the host perform an operation with x.Request as its payload. The
// response is valid until End; failure is the host's error text.
func (x *Exchange) Call(binding, namespace, operation string) (response []byte, failure string, ok bool) {
	h := current()
	if h == nil {
		return nil, "unavailable: there is no host for " + operation + ": in a test, call waxotest.New(t) first", false
	}
	response, err := h.Call(binding, namespace, operation, x.Request)
	if err != nil {
		return nil, err.Error(), false
	}
	return response, "", true
}

// Console writes a line to the host's console.
func Console(line string) {
	if h := current(); h != nil {
		h.Console(line)
	}
}
