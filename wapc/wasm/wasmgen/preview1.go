package wasmgen

import (
	"math"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// The modules that guests import from.
const (
	Preview1Module = "wasi_snapshot_preview1"
	ProtocolModule = "wapc"
)

// preview1 has, for each function of preview 1, a letter for each parameter: a
// place in memory, the place of a list of (p)laces and lengths, a number of
// them, a (d)escriptor, a (c)lock, a place of (s)ubscriptions, a (n)umber of
// bytes, another i32 or I64. All but proc_exit give an error number.
var preview1 = []struct{ name, params string }{
	{"fd_write", "dlkp"}, {"clock_time_get", "cIp"}, {"random_get", "pn"}, {"poll_oneoff", "spkp"},
	{"args_get", "pp"}, {"args_sizes_get", "pp"}, {"environ_get", "pp"}, {"environ_sizes_get", "pp"},
	{"clock_res_get", "cp"}, {"proc_exit", "i"}, {"proc_raise", "i"}, {"sched_yield", ""},
	{"fd_read", "dlkp"}, {"fd_fdstat_get", "dp"}, {"fd_filestat_get", "dp"}, {"fd_prestat_get", "dp"},
	{"fd_prestat_dir_name", "dpn"}, {"fd_close", "d"}, {"fd_datasync", "d"}, {"fd_sync", "d"},
	{"fd_pread", "dlkIp"}, {"fd_pwrite", "dlkIp"}, {"fd_seek", "dIip"}, {"fd_tell", "dp"},
	{"fd_advise", "dIIi"}, {"fd_allocate", "dII"}, {"fd_fdstat_set_flags", "di"}, {"fd_fdstat_set_rights", "dII"},
	{"fd_filestat_set_size", "dI"}, {"fd_filestat_set_times", "dIIi"}, {"fd_readdir", "dpnIp"}, {"fd_renumber", "dd"},
	{"sock_accept", "dip"}, {"sock_recv", "dlkipp"}, {"sock_send", "dlkip"}, {"sock_shutdown", "di"},
	{"path_create_directory", "dpn"}, {"path_filestat_get", "dipnp"}, {"path_filestat_set_times", "dipnIIi"},
	{"path_link", "dipndpn"}, {"path_open", "dipniIIip"}, {"path_readlink", "dpnpnp"},
	{"path_remove_directory", "dpn"}, {"path_rename", "dpndpn"}, {"path_symlink", "pndpn"}, {"path_unlink_file", "dpn"},
}

// Preview1Funcs returns the types of all functions of preview 1.
func Preview1Funcs() map[string]wasm.FuncType {
	types := make(map[string]wasm.FuncType)
	for _, f := range preview1 {
		types[f.name] = preview1Type(f.name, f.params)
	}
	return types
}

func preview1Type(name, params string) wasm.FuncType {
	var t wasm.FuncType
	for _, c := range params {
		if c == 'I' {
			t.Params = append(t.Params, i64)
		} else {
			t.Params = append(t.Params, i32)
		}
	}
	if name != "proc_exit" {
		t.Results = []wasm.ValType{i32}
	}
	return t
}

// ProtocolFuncs are the functions of [ProtocolModule] that guests import.
var ProtocolFuncs = []HostFunc{
	{"__console_log", funcType(i32, i32)()},
	{"__guest_response", funcType(i32, i32)()},
	{"__host_response_len", funcType()(i32)},
}

// importPreview1 imports the functions of a guest, those of WASI and of the
// protocol in any order.
func (g *generator) importPreview1() {
	protocol := func() {
		for _, f := range ProtocolFuncs {
			if g.src.chance(60) {
				g.importFunc(ProtocolModule, f.Name, f.Type)
			}
		}
	}
	if g.src.chance(128) {
		protocol()
	}
	for i, f := range preview1 {
		chance := 30
		if i < 4 {
			chance = 200
		}
		if g.src.chance(chance) {
			imported := g.importFunc(Preview1Module, f.name, preview1Type(f.name, f.params))
			imported.wasi, imported.params = f.name, f.params
		}
	}
	protocol()
}

// exportProtocol exports what makes a guest of the module.
func (g *generator) exportProtocol(define func(name string, t wasm.FuncType, code *asm)) {
	code := new(asm).get(0).get(1).op(wasm.OpI32Add)
	define("__guest_call", funcType(i32, i32)(i32), code)
}

// callPreview1 calls a function of preview 1 with what it wants, mostly.
func (f *body) callPreview1(i uint32, callee *function) {
	if callee.wasi == "proc_exit" && !f.src.chance(20) {
		return
	}
	count := int32(f.src.below(4))
	for _, c := range callee.params {
		switch c {
		case 'p':
			f.place()
		case 'l':
			f.texts(count)
		case 's':
			f.subscriptions(count)
		case 'k':
			if f.src.chance(8) {
				count = 100_000
			}
			f.i32(count)
		case 'd':
			f.i32(int32(pick(&f.src, []int{1, 2, 1, 0, 3, -1, 2})))
		case 'c':
			f.i32(int32(f.src.below(5)))
		case 'n':
			f.length(0)
		case 'I':
			f.expr(i64)
		default:
			f.i32(int32(pick(&f.src, ints)))
		}
	}
	f.index(wasm.OpCall, i)
}

// place writes where something small is put.
func (f *body) place() {
	if f.src.chance(24) {
		f.address()
		return
	}
	f.i32(int32(f.src.below(2000)))
}

// listAt is where lists are put.
const listAt = 2048

// texts puts a list of texts into the memory, and its place on the stack.
func (f *body) texts(n int32) {
	for i := range n {
		at, length := int32(f.src.below(1000)), int32(f.src.below(24))
		switch {
		case f.src.chance(60):
			length = 1000 + int32(f.src.below(26)) // a line has 1,024 at most
		case f.src.chance(8):
			at = int32(f.g.memorySize) - int32(f.src.below(40))
		}
		for range f.src.below(3) {
			f.i32(at + int32(f.src.below(int(length)))).i32(int32(pick(&f.src, []byte("\n\nA\x80\xc3\xe2\xf0\xf0"))))
			f.index(opI32Store8, 0, 0)
		}
		f.i32(listAt).i32(at).index(wasm.OpI32Store, 0, uint32(8*i))
		f.i32(listAt).i32(length).index(wasm.OpI32Store, 0, uint32(8*i+4))
	}
	if f.src.chance(8) {
		f.address()
		return
	}
	f.i32(listAt)
}

// start is when the clock of a sealed guest starts, in nanoseconds.
const start = 946_684_800e9

// subscriptions puts a list of subscriptions into the memory, and its place on
// the stack.
func (f *body) subscriptions(n int32) {
	for i := range n {
		at := uint32(48 * i)
		f.i32(listAt)
		f.expr(i64)
		f.index(wasm.OpI64Store, 0, at)
		f.i32(listAt).i32(int32(pick(&f.src, []int{0, 0, 1, 2, 0, 3}))).index(wasm.OpI32Store, 0, at+8)
		f.i32(listAt).i32(int32(f.src.below(5))).index(wasm.OpI32Store, 0, at+16)
		f.i32(listAt)
		f.i64(pick(&f.src, []int64{0, 1, 1000, -1, math.MaxInt64, start, start + 50_000, start + 1e9, 1e9}))
		f.index(wasm.OpI64Store, 0, at+24)
		f.i32(listAt).i32(int32(f.src.below(2))).index(wasm.OpI32Store, 0, at+40)
	}
	if f.src.chance(8) {
		f.address()
		return
	}
	f.i32(listAt)
}
