package abi

import (
	"runtime"
	"strconv"
	"strings"
)

// maxStack bounds the stack of a panic on the console.
const maxStack = 16 << 10

// protect runs a handler and turns its error, or its panic, into a text.
func protect(h Handler, payload []byte) (response []byte, failure string, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			response, failure, ok = nil, "panic: "+describe(v), false
			logStack(failure)
		}
	}()
	response, err := h(payload)
	if err != nil {
		return nil, err.Error(), false
	}
	return response, "", true
}

// describe says what was panicked with, without the reflection of package fmt.
func describe(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = "a value whose own text panics"
		}
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case interface{ String() string }:
		return v.String()
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int32:
		return strconv.Itoa(int(v))
	case int64:
		return strconv.FormatInt(v, 10)
	case uint:
		return strconv.FormatUint(uint64(v), 10)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	}
	return "a value of a type that has no text"
}

// logStack writes the stack of the panic that is being recovered to the console,
// a line at a time, from the frame that panicked.
func logStack(headline string) {
	Console(headline)
	buf := make([]byte, maxStack)
	stack := string(buf[:runtime.Stack(buf, false)])
	if _, after, ok := strings.Cut(stack, "\npanic("); ok {
		_, after, _ = strings.Cut(after, "\n")
		_, stack, _ = strings.Cut(after, "\n")
	}
	for stack != "" {
		var line string
		line, stack, _ = strings.Cut(stack, "\n")
		if place, ok := strings.CutPrefix(line, "\t"); ok {
			line = "    " + place
		}
		Console(line)
	}
}
