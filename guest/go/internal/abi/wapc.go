//go:build wasip1 || wasm_unknown

package abi

import "unsafe"

//go:wasmimport wapc __guest_request
//go:noescape
func guestRequest(operation, message unsafe.Pointer)

//go:wasmimport wapc __guest_response
//go:noescape
func guestResponse(p unsafe.Pointer, n uint32)

//go:wasmimport wapc __guest_error
//go:noescape
func guestError(p unsafe.Pointer, n uint32)

//go:wasmimport wapc __host_call
//go:noescape
func hostCall(binding unsafe.Pointer, bindingLen uint32, namespace unsafe.Pointer, namespaceLen uint32,
	operation unsafe.Pointer, operationLen uint32, payload unsafe.Pointer, payloadLen uint32) int32

//go:wasmimport wapc __host_response_len
func hostResponseLen() uint32

//go:wasmimport wapc __host_response
//go:noescape
func hostResponse(p unsafe.Pointer)

//go:wasmimport wapc __host_error_len
func hostErrorLen() uint32

//go:wasmimport wapc __host_error
//go:noescape
func hostError(p unsafe.Pointer)

//go:wasmimport wapc __console_log
//go:noescape
func consoleLog(p unsafe.Pointer, n uint32)

// The buffers of the call before. They are taken away while a call is under way,
// so a host that enters the guest again finds none to spoil.
var operationBuffer, messageBuffer []byte

// lastOperation spares most calls the making of a string.
var lastOperation string

//go:wasmexport __guest_call
func guestCall(operationLen, messageLen uint32) int32 {
	operation, message := Fit(operationBuffer, int(operationLen)), Fit(messageBuffer, int(messageLen))
	operationBuffer, messageBuffer = nil, nil
	guestRequest(pointer(operation), pointer(message))

	if lastOperation != string(operation) {
		lastOperation = string(operation)
	}
	response, failure, ok := Dispatch(lastOperation, message)
	operationBuffer, messageBuffer = Keep(operation), Keep(message)
	if !ok {
		guestError(unsafe.Pointer(unsafe.StringData(failure)), uint32(len(failure)))
		return 0
	}
	guestResponse(pointer(response), uint32(len(response)))
	return 1
}

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// spare is the Exchange of the host call before. Whoever begins takes it away, so
// goroutines that call at the same time do not share it.
var spare *Exchange

func take() *Exchange {
	x := spare
	spare = nil
	return x
}

func put(x *Exchange) { spare = x }

// Call has the host perform an operation with x.Request as its payload. The
// response is valid until End; failure is the host's error text.
func (x *Exchange) Call(binding, namespace, operation string) (response []byte, failure string, ok bool) {
	ok = hostCall(
		unsafe.Pointer(unsafe.StringData(binding)), uint32(len(binding)),
		unsafe.Pointer(unsafe.StringData(namespace)), uint32(len(namespace)),
		unsafe.Pointer(unsafe.StringData(operation)), uint32(len(operation)),
		pointer(x.Request), uint32(len(x.Request))) == 1
	if !ok {
		text := make([]byte, hostErrorLen())
		hostError(pointer(text))
		return nil, string(text), false
	}
	x.response = Fit(x.response, int(hostResponseLen()))
	hostResponse(pointer(x.response))
	return x.response, "", true
}

// Console writes a line to the host's console.
func Console(line string) {
	consoleLog(unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}
