//go:build !(wasip1 || wasm_unknown)

package abi

import "sync"

// Host is the other side of a native build.
type Host interface {
	// Call performs a host call. The error's text is what a guest would see.
	Call(binding, namespace, operation string, payload []byte) ([]byte, error)
	// Console takes a line of the console.
	Console(line string)
}

var installed struct {
	sync.Mutex
	host Host
}

// Install makes h the host, and reports whether there was none; Uninstall takes
// it away.
func Install(h Host) bool {
	installed.Lock()
	defer installed.Unlock()
	if installed.host != nil {
		return false
	}
	installed.host = h
	return true
}

// Uninstall leaves the guest without a host.
func Uninstall() {
	installed.Lock()
	defer installed.Unlock()
	installed.host = nil
}

func current() Host {
	installed.Lock()
	defer installed.Unlock()
	return installed.host
}

// Natively, handlers may run at the same time: nothing is kept.
func take() *Exchange { return nil }
func put(*Exchange)   {}

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
