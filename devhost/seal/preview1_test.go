package seal_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

const preview1 = "wasi_snapshot_preview1"

// preview1Types asks wazero for the functions of preview 1.
func preview1Types(t testing.TB) map[string]wasm.FuncType {
	t.Helper()
	r := wazero.NewRuntime(t.Context())
	defer r.Close(t.Context())
	compiled, err := wasi_snapshot_preview1.NewBuilder(r).Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]wasm.FuncType)
	for name, f := range compiled.ExportedFunctions() {
		var ft wasm.FuncType
		for _, p := range f.ParamTypes() {
			ft.Params = append(ft.Params, wasm.ValType(p))
		}
		for _, p := range f.ResultTypes() {
			ft.Results = append(ft.Results, wasm.ValType(p))
		}
		types[name] = ft
	}
	return types
}

// bare is a guest with a memory of one page, and nothing else.
func bare() *wasm.Module {
	m := &wasm.Module{Memories: []wasm.Limits{{Min: 1}}}
	call := wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}}
	m.Funcs = []uint32{m.AddType(call)}
	m.Code = []wasm.Body{wasm.NewCode(2).I32(1).Body()}
	m.Exports = []wasm.Export{{Name: "__guest_call"}, {Name: "memory", Kind: wasm.KindMemory}}
	return m
}

func addImport(m *wasm.Module, module, name string, t wasm.FuncType) {
	at := m.ImportedFuncs()
	m.Imports = append(m.Imports, wasm.Import{Module: module, Name: name, Type: wasm.ExternType{TypeIndex: m.AddType(t), Func: t}})
	numbers := make([]uint32, at+len(m.Funcs))
	for i := range numbers {
		numbers[i] = uint32(i)
		if i >= at {
			numbers[i]++
		}
	}
	if err := m.RenumberFuncs(numbers); err != nil {
		panic(err)
	}
}

// everything is a guest that imports all of preview 1 and exports it again.
func everything(t testing.TB) []byte {
	t.Helper()
	m := bare()
	types := preview1Types(t)
	for i, name := range slices.Sorted(maps.Keys(types)) {
		addImport(m, preview1, name, types[name])
		m.Exports = append(m.Exports, wasm.Export{Name: name, Index: uint32(i)})
	}
	return m.Encode()
}

// sandbox is a running guest whose WASI functions can be called from outside.
type sandbox struct {
	*host
	t   *testing.T
	mod api.Module
}

func newSandbox(t *testing.T, opts *seal.Options) *sandbox {
	t.Helper()
	h := new(host)
	return &sandbox{h, t, h.start(t, mustSeal(t, everything(t), opts))}
}

// errno calls a function and returns its error number.
func (s *sandbox) errno(name string, args ...uint64) uint32 {
	s.t.Helper()
	results, err := s.mod.ExportedFunction(name).Call(s.t.Context(), args...)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return uint32(results[0])
}

func (s *sandbox) expect(want uint32, name string, args ...uint64) {
	s.t.Helper()
	if got := s.errno(name, args...); got != want {
		s.t.Errorf("%s%v gives the error number %d, want %d", name, args, got, want)
	}
}

func (s *sandbox) write(at uint32, content []byte) {
	s.t.Helper()
	if !s.mod.Memory().Write(at, content) {
		s.t.Fatal("write outside of the memory")
	}
}

func (s *sandbox) read(at, n uint32) []byte {
	s.t.Helper()
	view, ok := s.mod.Memory().Read(at, n)
	if !ok {
		s.t.Fatal("read outside of the memory")
	}
	return bytes.Clone(view)
}

func (s *sandbox) u64(at uint32) uint64 { return binary.LittleEndian.Uint64(s.read(at, 8)) }
func (s *sandbox) u32(at uint32) uint32 { return binary.LittleEndian.Uint32(s.read(at, 4)) }

// The test of the types: everything is imported with the types that wazero
// knows, and sealed.
func TestAllOfPreview1IsReplaced(t *testing.T) {
	module := everything(t)
	sealed, report, err := seal.Seal(module, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Replaced) != 46 || !report.AddedConsoleLog || report.Dropped != nil {
		t.Errorf("the report is %+v; preview 1 has 46 functions", report)
	}
	exports, err := wasm.Exports(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exports {
		if want, ok := preview1Types(t)[e.Name]; ok && !e.Type.Func.Equal(want) {
			t.Errorf("%s is %v, want %v", e.Name, e.Type.Func, want)
		}
	}
}

func TestConstantAnswers(t *testing.T) {
	s := newSandbox(t, nil)
	s.expect(0, "sched_yield")
	s.expect(52, "proc_raise", 6)
	for name, want := range map[string]uint32{
		"fd_close": 0, "fd_sync": 0, "fd_datasync": 0, "fd_seek": 70, "fd_tell": 70, "fd_pread": 70,
		"fd_pwrite": 70, "fd_advise": 52, "fd_allocate": 52, "fd_fdstat_set_flags": 52,
		"fd_fdstat_set_rights": 52, "fd_filestat_set_size": 52, "fd_filestat_set_times": 52,
		"fd_readdir": 52, "fd_renumber": 52, "sock_accept": 57, "sock_recv": 57, "sock_send": 57,
		"sock_shutdown": 57, "fd_prestat_get": 8, "fd_prestat_dir_name": 8,
	} {
		args := make([]uint64, len(s.mod.ExportedFunction(name).Definition().ParamTypes()))
		for fd, want := range []uint32{want, want, want, 8, 8} {
			args[0] = uint64(fd)
			s.expect(want, name, args...)
		}
		args[0] = 0xffffffff
		s.expect(8, name, args...)
	}
	for name := range s.mod.ExportedFunctionDefinitions() {
		if len(name) > 5 && name[:5] == "path_" {
			s.expect(8, name, make([]uint64, len(s.mod.ExportedFunction(name).Definition().ParamTypes()))...)
		}
	}
	if got := s.read(0, 65536); !bytes.Equal(got, make([]byte, 65536)) {
		t.Error("the memory has changed")
	}
}

func TestArgumentsAndEnvironmentAreEmpty(t *testing.T) {
	s := newSandbox(t, nil)
	for _, name := range []string{"args", "environ"} {
		s.write(96, bytes.Repeat([]byte{0xff}, 16))
		s.expect(0, name+"_sizes_get", 100, 108)
		if a, b := s.u32(100), s.u32(108); a != 0 || b != 0 {
			t.Errorf("%s: %d strings of %d bytes", name, a, b)
		}
		if s.u32(96) != 0xffffffff || s.u32(104) != 0xffffffff {
			t.Errorf("%s: neighbours were written", name)
		}
		s.expect(0, name+"_get", 100, 108)
	}
}

func TestStandardInputIsAtItsEnd(t *testing.T) {
	s := newSandbox(t, nil)
	s.write(100, []byte{9, 9, 9, 9})
	s.expect(0, "fd_read", 0, 0, 1, 100)
	if got := s.u32(100); got != 0 {
		t.Errorf("%d bytes were read", got)
	}
	for _, fd := range []uint64{1, 2, 3} {
		s.expect(8, "fd_read", fd, 0, 1, 100)
	}
}

func TestStreamsLookLikeTerminals(t *testing.T) {
	s := newSandbox(t, nil)
	for fd, rights := range []byte{2, 64, 64} {
		s.write(90, bytes.Repeat([]byte{0xff}, 100))
		s.expect(0, "fd_fdstat_get", uint64(fd), 100)
		want := make([]byte, 24)
		want[0], want[8] = 2, rights
		if got := s.read(100, 24); !bytes.Equal(got, want) {
			t.Errorf("fdstat of %d is %x, want %x", fd, got, want)
		}
		s.expect(0, "fd_filestat_get", uint64(fd), 100)
		want = make([]byte, 64)
		want[16] = 2
		if got := s.read(100, 64); !bytes.Equal(got, want) {
			t.Errorf("filestat of %d is %x, want %x", fd, got, want)
		}
		if s.u64(92) != 1<<64-1 || s.u64(164) != 1<<64-1 {
			t.Error("neighbours were written")
		}
	}
	s.expect(8, "fd_fdstat_get", 3, 100)
	s.expect(8, "fd_filestat_get", 3, 100)
}

func TestRandomness(t *testing.T) {
	const seed = 0x0123456789abcdef
	s := newSandbox(t, &seal.Options{Seed: seed})
	state := uint64(seed)
	next := func() []byte { // splitmix64, as its authors published it
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return binary.LittleEndian.AppendUint64(nil, z^z>>31)
	}
	for n := range uint64(40) {
		s.write(1000, bytes.Repeat([]byte{0xaa}, 100))
		s.expect(0, "random_get", 1001, n)
		want := []byte{0xaa}
		for len(want) < int(n)+1 {
			want = append(want, next()...)
		}
		want = append(want[:n+1], bytes.Repeat([]byte{0xaa}, 99-int(n))...)
		if got := s.read(1000, 100); !bytes.Equal(got, want) {
			t.Fatalf("%d random bytes are\n%x\nwant\n%x", n, got, want)
		}
	}
	// What fits up to the last byte of the memory, and what does not.
	s.expect(0, "random_get", 65536-11, 11)
	if _, err := s.mod.ExportedFunction("random_get").Call(t.Context(), 65536-11, 12); err == nil {
		t.Error("random bytes were written behind the memory")
	}
}

func TestDefaultsDiffer(t *testing.T) {
	read := func(opts *seal.Options) string {
		s := newSandbox(t, opts)
		s.expect(0, "random_get", 0, 64)
		s.expect(0, "clock_time_get", 0, 0, 64)
		return string(s.read(0, 72))
	}
	first := read(nil)
	if first != read(&seal.Options{}) || first != read(nil) {
		t.Error("the same options gave different guests")
	}
	if first[:64] == read(&seal.Options{Seed: 1})[:64] {
		t.Error("another seed gave the same numbers")
	}
	if first[64:] == read(&seal.Options{Start: time.Unix(1, 0)})[64:] {
		t.Error("another start gave the same time")
	}
}
