package abi

import "sync"

// Host is the other side of a native build. It is known in a guest too, so that
// tests compile for both.
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
