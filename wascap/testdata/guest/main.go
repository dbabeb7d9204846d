// Command guest is a module to be signed and broken; nobody runs it.
package main

//go:wasmexport __guest_call
func guestCall(operation, message int32) int32 { return operation & message & 1 }

func main() {}
