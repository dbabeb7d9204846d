// Package wat assembles the WebAssembly text format: the probe guests of the
// suites are kept as text that people can read and change, and become modules
// while the suites run, without a tool that must be installed.
//
// It knows the text format of the core specification 2.0 without vectors
// (v128): folded and flat instructions, names and numbers for indices, inline
// imports and exports, abbreviations of segments, tail calls, and of later
// proposals what a host must be seen to refuse: imported tags, shared
// memories.
//
// It promises the bytes that wabt's wat2wasm writes for the same text, which a
// test holds it to. It leaves out validation: a module with type errors is
// assembled as it stands, as probes may want it so, and an engine tells what
// is wrong with it. It writes no name section.
package wat

import (
	"errors"
	"fmt"
)

// Error is what is wrong with a text, and where.
type Error struct {
	Line, Column int // from 1, in bytes
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// Assemble returns the binary form of the module that text holds. The error is
// an *Error.
func Assemble(text string) (module []byte, err error) {
	// Errors come from deep within nested expressions and end everything.
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			module, err = nil, r
		default:
			panic(r)
		}
	}()
	return assemble(read(text)).Encode(), nil
}

// position is where something stands in the text.
type position struct{ line, column int }

// fail ends the assembly.
func (p position) fail(format string, args ...any) {
	panic(&Error{Line: p.line, Column: p.column, Message: fmt.Sprintf(format, args...)})
}

// check ends the assembly if there is an error.
func (p position) check(err error) {
	if err != nil {
		p.fail("%v", err)
	}
}

var errRange = errors.New("the number is out of range")
