// Package inner is a package of the guest's own.
package inner

// Answer answers. It must show in the module's names.
//
//go:noinline
func Answer(operation, payload uint32) uint32 { return operation + payload }
