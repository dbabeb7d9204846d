// Command guest is a small guest for the builder's tests.
package main

import "guest/inner"

//go:wasmexport __guest_call
func guestCall(operation, payload uint32) uint32 { return inner.Answer(operation, payload) }

func main() {}
