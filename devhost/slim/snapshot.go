package slim

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// A snapshot may make a module larger by a quarter of its code and data, and by
// slack bytes: what instances gain as they start, loading would otherwise lose.
const (
	maxGrowth = 4 // the quarter
	slack     = 64 << 10
)

// snapshot runs the start functions and writes the state that they leave into
// the module, in their place.
func (o *Options) snapshot(ctx context.Context, m *wasm.Module) (Result, error) {
	refuse := func(reason string) (Result, error) { return Result{Detail: reason}, nil }
	if reason := checkBorder(m); reason != "" {
		return refuse(reason)
	}
	f, err := look(m)
	if err != nil {
		return Result{}, err
	}
	if reason := checkState(m, f); reason != "" {
		return refuse(reason)
	}
	s, err := o.start(ctx, m)
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if err != nil {
		return refuse(err.Error())
	}
	g := &merger{fresh: true, moved: map[uint32]uint32{}}
	if reason := g.read(m, f.dataRefs); reason != "" {
		return refuse(reason)
	}
	data := appendNonZero(nil, 0, s.memory)
	before, after := dataSize(m.Data), dataSize(data)
	if limit := before + (before+codeSize(m.Code))/maxGrowth + slack; after > limit {
		return refuse(fmt.Sprintf("the module would grow too much: the state has %d bytes, the data in its place %d, and %d are allowed", after, before, limit))
	}
	g.data = data
	if err := g.write(m, f.dataRefs); err != nil {
		return Result{}, err
	}
	s.writeTo(m)
	return Result{Done: true, changed: true, Detail: fmt.Sprintf("%s ran; %d KiB of memory are kept", s.ran, after>>10)}, nil
}

// checkBorder says why a module is not one whose start can be run here.
func checkBorder(m *wasm.Module) (reason string) {
	for _, i := range m.Imports {
		if i.Module != "wapc" || i.Type.Kind != wasm.KindFunc {
			return fmt.Sprintf("the module imports %s.%s, which is none of the call protocol's functions", i.Module, i.Name)
		}
	}
	starts := m.Start != nil
	for _, e := range m.Exports {
		if !isStart(e.Name) {
			continue
		}
		starts = true
		if t, err := m.ExternType(e.Kind, e.Index); err != nil || e.Kind != wasm.KindFunc || !t.Func.Equal(wasm.FuncType{}) {
			return fmt.Sprintf("the export %s is no function without parameters and results", e.Name)
		}
	}
	if !starts {
		return "the guest has no start function"
	}
	if len(m.Memories) != 1 || m.Memories[0].Shared || m.Memories[0].Is64 {
		return "the module has not exactly one memory of the plain kind"
	}
	return ""
}

// checkState says which part of an instance's state cannot be written down.
func checkState(m *wasm.Module, f *facts) (reason string) {
	for i, g := range m.Globals {
		if g.Type.Mutable && !isNumber(g.Type.Type) {
			return fmt.Sprintf("global variable %d holds a %v", i, g.Type.Type)
		}
	}
	for _, e := range m.Exports {
		if isStart(e.Name) && f.addresses[e.Index] {
			return fmt.Sprintf("the code takes the address of %s", e.Name)
		}
	}
	switch {
	case f.tables:
		return "the code can change a table"
	case f.dataDrops:
		return "the code can drop a data segment"
	}
	return ""
}

func isNumber(t wasm.ValType) bool {
	return t == wasm.I32 || t == wasm.I64 || t == wasm.F32 || t == wasm.F64
}

// state is what the start functions leave.
type state struct {
	memory  []byte
	globals []uint64 // bits of each mutable one, by index; 0 for the others
	ran     string   // which functions did
}

func (s *state) writeTo(m *wasm.Module) {
	m.Start = nil
	m.Exports = slices.DeleteFunc(slices.Clone(m.Exports), func(e wasm.Export) bool { return isStart(e.Name) })
	m.Memories = slices.Clone(m.Memories)
	m.Memories[0].Min = uint64(len(s.memory)) / pageSize
	m.Globals = slices.Clone(m.Globals)
	for i := range m.Globals {
		if g := &m.Globals[i]; g.Type.Mutable {
			g.Init = constant(g.Type.Type, s.globals[i])
		}
	}
}

// constant is the expression that gives a number with these bits.
func constant(t wasm.ValType, bits uint64) []byte {
	const f32Const, f64Const = 0x43, 0x44
	switch t {
	case wasm.F32:
		return append(binary.LittleEndian.AppendUint32([]byte{f32Const}, uint32(bits)), byte(wasm.OpEnd))
	case wasm.F64:
		return append(binary.LittleEndian.AppendUint64([]byte{f64Const}, bits), byte(wasm.OpEnd))
	case wasm.I32:
		return wasm.NewCode(0).I32(int32(bits)).Body().Code
	}
	return wasm.NewCode(0).I64(int64(bits)).Body().Code
}

func dataSize(data []wasm.Data) int {
	n := 0
	for _, d := range data {
		n += len(d.Init) + len(d.Offset) + 4
	}
	return n
}

func codeSize(code []wasm.Body) int {
	n := 0
	for i := range code {
		n += len(code[i].Code)
	}
	return n
}
