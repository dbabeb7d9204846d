package wasmgen

import "github.com/waxosuit/waxo/wapc/wasm"

// The modules that generated modules import from.
const (
	HostModule    = "host"
	LibraryModule = "library"
)

// LibraryVariable is the name of a global variable of the library.
const LibraryVariable = "variable"

// HostFunc is a function that the host provides.
type HostFunc struct {
	Name string
	Type wasm.FuncType
}

// HostFuncs are the functions of [HostModule]. Those called log are told a
// value; next gives numbers, mix computes something, and fail fails if its
// argument can be divided by 16.
var HostFuncs = []HostFunc{
	{"log i32", funcType(i32)()},
	{"log i64", funcType(i64)()},
	{"log f32", funcType(f32)()},
	{"log f64", funcType(f64)()},
	{"log externref", funcType(wasm.ExternRef)()},
	{"next", funcType()(i32)},
	{"mix", funcType(i64, i32)(i64, i32)},
	{"fail", funcType(i32)()},
}

func funcType(params ...wasm.ValType) func(results ...wasm.ValType) wasm.FuncType {
	return func(results ...wasm.ValType) wasm.FuncType {
		return wasm.FuncType{Params: params, Results: results}
	}
}

var libraryExports = []wasm.TypedExport{
	{Name: "swap", Type: wasm.ExternType{Kind: wasm.KindFunc, Func: funcType(i64, f64)(f64, i64)}},
	{Name: "constant", Type: wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: i32}}},
	{Name: "count", Type: wasm.ExternType{Kind: wasm.KindFunc, Func: funcType(i32)(i32)}},
	{Name: LibraryVariable, Type: wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: i64, Mutable: true}}},
	{Name: "memory", Type: wasm.ExternType{Kind: wasm.KindMemory, Memory: wasm.Limits{Min: 1}}},
	{Name: "table", Type: wasm.ExternType{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 6}}}},
}

// Library returns the module that generated modules import from, as
// [LibraryModule]: a memory, a table, global variables and functions.
func Library() []byte {
	m := &wasm.Module{
		Memories: []wasm.Limits{{Min: 1, Max: 4, HasMax: true}},
		Tables:   []wasm.TableType{{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 6, Max: 12, HasMax: true}}},
		Globals: []wasm.Global{
			{Type: wasm.GlobalType{Type: i32}, Init: wasm.NewCode(0).I32(3).Body().Code},
			{Type: wasm.GlobalType{Type: i64, Mutable: true}, Init: wasm.NewCode(0).I64(-5).Body().Code},
		},
	}
	define := func(t wasm.FuncType, code *wasm.Code) {
		m.Funcs = append(m.Funcs, m.AddType(t))
		m.Code = append(m.Code, code.Body())
	}
	define(funcType(i64, f64)(f64, i64), wasm.NewCode(2).Get(1).Get(0))
	count := wasm.NewCode(1)
	count.Get(0).I32(63).Op(wasm.OpI32And).Set(0).Block(func() {
		count.Loop(func() {
			count.Get(0).Op(wasm.OpI32Eqz).BrIf(1)
			count.GetGlobal(1).I64(7).Op(wasm.OpI64Add).SetGlobal(1)
			count.Get(0).I32(1).Op(wasm.OpI32Sub).Set(0).Br(0)
		})
	})
	define(funcType(i32)(i32), count.GetGlobal(1).Op(wasm.OpI32WrapI64))
	m.Elements = []wasm.Element{{Offset: wasm.NewCode(0).I32(2).Body().Code, Type: wasm.FuncRef, Funcs: []uint32{0, 1}}}
	index := map[wasm.Kind]uint32{}
	for _, x := range libraryExports {
		m.Exports = append(m.Exports, wasm.Export{Name: x.Name, Kind: x.Type.Kind, Index: index[x.Type.Kind]})
		index[x.Type.Kind]++
	}
	return m.Encode()
}
