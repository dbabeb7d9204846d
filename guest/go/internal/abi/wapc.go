//go:build wasip1 || wasm_unknown

package abi

import (
	"runtime"
	"unsafe"
)

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

// last is the operation of the call before, and its handler, which most calls are
// for again.
var last registration

//go:wasmexport __guest_call
func guestCall(operationLen, messageLen uint32) int32 {
	if !served {
		served, fewest = true, runtime.NumGoroutine()
	}
	operation, message := Fit(operationBuffer, int(operationLen)), Fit(messageBuffer, int(messageLen))
	operationBuffer, messageBuffer = nil, nil
	guestRequest(pointer(operation), pointer(message))

	if !Equal(operation, last.operation) {
		look(operation)
	}
	var response []byte
	var failure string
	var ok bool
	if last.handle != nil {
		response, failure, ok = protect(last.handle, message)
	} else {
		response, failure, ok = Dispatch(last.operation, message)
	}
	operationBuffer, messageBuffer = Keep(operation), Keep(message)
	if !ok {
		guestError(unsafe.Pointer(unsafe.StringData(failure)), uint32(len(failure)))
		return 0
	}
	guestResponse(pointer(response), uint32(len(response)))
	return 1
}

// look sets last. What handles an operation does not change once a call has come.
func look(operation []byte) {
	for _, r := range handlers {
		if Equal(operation, r.operation) {
			last = r
			return
		}
	}
	last.operation = string(operation)
	last.handle, _ = find(last.operation)
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
		return nil, unsafe.String(unsafe.SliceData(text), len(text)), false
	}
	x.response = Fit(x.response, int(hostResponseLen()))
	hostResponse(pointer(x.response))
	return x.response, "", true
}

// Console writes a line to the host's console.
func Console(line string) {
	consoleLog(unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

// Reuse tells that what served one call may serve the next: calls come one after
// the other.
const Reuse = true

// unaligned tells that words may be read from any address.
const unaligned = true

// fewest is the least number of goroutines that were there when a call began or
// ended: those that are not a handler's.
var fewest int

// Alone reports, at the end of a call, that no goroutine is left that a handler
// started. Such a one may still look at what was made for the call.
func Alone() bool {
	n := runtime.NumGoroutine()
	fewest = min(fewest, n)
	return n == fewest
}
