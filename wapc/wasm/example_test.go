package wasm_test

import (
	"fmt"
	"log"
	"os"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// A module is taken apart, its code is walked, and the calls of its functions
// are counted.
func Example() {
	module, err := os.ReadFile("testdata/indices.wasm")
	if err != nil {
		log.Fatal(err)
	}
	m, err := wasm.Decode(module)
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range m.Imports {
		fmt.Println(i.Module, i.Name, i.Type.Func)
	}
	calls := 0
	for _, body := range m.Code {
		r := wasm.NewReader(body.Code)
		for in, ok := r.Next(); ok; in, ok = r.Next() {
			if in.Op == wasm.OpCall {
				calls++
			}
		}
		if err := r.Err(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(m.Code), "functions,", calls, "direct calls")
	// Output:
	// wasi_snapshot_preview1 sched_yield () -> (i32)
	// wapc __guest_response (i32, i32) -> ()
	// wasi_snapshot_preview1 fd_prestat_get (i32, i32) -> (i32)
	// wasi_snapshot_preview1 fd_write (i32, i32, i32, i32) -> (i32)
	// wasi_snapshot_preview1 sched_yield () -> (i32)
	// 25 functions, 10 direct calls
}
