package seal_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

func Example() {
	// In practice this is the output of
	// GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared.
	errno := wasm.FuncType{Results: []wasm.ValType{wasm.I32}}
	guest := bare()
	addImport(guest, "wasi_snapshot_preview1", "sched_yield", errno)

	module, report, err := seal.Seal(guest.Encode(), nil)
	if err != nil {
		log.Fatal(err)
	}
	imports, err := wasm.Imports(module)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("replaced", report.Replaced)
	fmt.Println("imports left:", len(imports))

	addImport(guest, "env", "read_my_files", errno)
	_, _, err = seal.Seal(guest.Encode(), nil)
	var refused *seal.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Reason, "-", refused.Detail)
	}
	// Output:
	// replaced [wasi_snapshot_preview1.sched_yield]
	// imports left: 0
	// import - imports that no sealed guest can have: env.read_my_files
}
