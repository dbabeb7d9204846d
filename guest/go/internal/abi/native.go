//go:build !(wasip1 || wasm_unknown)

package abi

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
