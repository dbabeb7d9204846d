//go:build wasip1

// A guest without the SDK: the call protocol by hand, in buffers that are used
// again. It is the limit that the SDK is measured against. The first letter of the
// operation says what to do: e echoes, g and a make one host call, of Get and of
// Add, and answer with its answer.
package main

import "unsafe"

func main() {}

//go:wasmimport wapc __guest_request
//go:noescape
func guestRequest(operation, message unsafe.Pointer)

//go:wasmimport wapc __guest_response
//go:noescape
func guestResponse(p unsafe.Pointer, n uint32)

//go:wasmimport wapc __host_call
//go:noescape
func hostCall(binding unsafe.Pointer, bindingLen uint32, namespace unsafe.Pointer, namespaceLen uint32,
	operation unsafe.Pointer, operationLen uint32, payload unsafe.Pointer, payloadLen uint32) int32

//go:wasmimport wapc __host_response_len
func hostResponseLen() uint32

//go:wasmimport wapc __host_response
//go:noescape
func hostResponse(p unsafe.Pointer)

var operation, message, answer = make([]byte, 64), make([]byte, 1<<20), make([]byte, 1<<20)

const (
	binding   = "default"
	namespace = "wascap:keyvalue"
	opGet     = namespace + "!Get"
	opAdd     = namespace + "!Add"
	keyCount  = "\x0a\x05count"         // a GetRequest
	addOne    = "\x0a\x05count\x10\x01" // an AddRequest
)

//go:wasmexport __guest_call
func guestCall(_, messageLen uint32) int32 {
	guestRequest(unsafe.Pointer(&operation[0]), unsafe.Pointer(&message[0]))
	switch operation[0] {
	case 'g':
		return call(opGet, keyCount)
	case 'a':
		return call(opAdd, addOne)
	}
	guestResponse(unsafe.Pointer(&message[0]), messageLen)
	return 1
}

func call(operation, payload string) int32 {
	ok := hostCall(address(binding), uint32(len(binding)), address(namespace), uint32(len(namespace)),
		address(operation), uint32(len(operation)), address(payload), uint32(len(payload)))
	if ok != 1 {
		return 0
	}
	n := hostResponseLen()
	hostResponse(unsafe.Pointer(&answer[0]))
	guestResponse(unsafe.Pointer(&answer[0]), n)
	return 1
}

func address(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
