package wapc

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// i32Const is a constant expression.
func i32Const(v int32) []byte {
	return append(wasm.AppendInt64([]byte{byte(wasm.OpI32Const)}, int64(v)), byte(wasm.OpEnd))
}

// dataModule has a memory of so many pages and these segments. Its functions
// are "init" (segment 0: to, from, length), "drop" (segment 0) and "grow".
func dataModule(pages uint64, named bool, segments ...wasm.Data) *wasm.Module {
	m := &wasm.Module{
		Memories: []wasm.Limits{{Min: pages}},
		Data:     segments,
		Exports:  []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}},
	}
	function := func(name string, params int, code string) {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: uint32(len(m.Code))})
		m.Funcs = append(m.Funcs, m.AddType(i32s(params, 0)))
		m.Code = append(m.Code, wasm.Body{Code: []byte(code)})
	}
	function("grow", 1, "\x20\x00\x40\x00\x1a\x0b")
	if named {
		count := uint32(len(segments))
		m.DataCount = &count
		function("init", 3, "\x20\x00\x20\x01\x20\x02\xfc\x08\x00\x00\x0b")
		function("drop", 0, "\xfc\x09\x00\x0b")
	}
	return m
}

func active(at int32, data string) wasm.Data {
	return wasm.Data{Offset: i32Const(at), Init: []byte(data)}
}

func passive(data string) wasm.Data { return wasm.Data{Form: formPassive, Init: []byte(data)} }

// dataGuest is an instance of a dataModule.
type dataGuest struct {
	api.Module
	memory linearMemory
}

func instantiate(t *testing.T, module []byte, im *image, kind string) (*dataGuest, error) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = r.Close(ctx) })
	g := &dataGuest{memory: linearMemory{limit: 1 << 30, image: im}}
	t.Cleanup(g.memory.release)
	switch kind {
	case "mapped":
		ctx = experimental.WithMemoryAllocator(ctx, &g.memory)
	case "on the heap":
		ctx = experimental.WithMemoryAllocator(ctx, onHeap{&g.memory})
	}
	compiled, err := r.CompileModule(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	g.Module, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
	return g, err
}

// onHeap reserves nothing.
type onHeap struct{ *linearMemory }

func (m onHeap) Allocate(uint64, uint64) experimental.LinearMemory { return m.linearMemory }

func (g *dataGuest) do(t *testing.T, name string, args ...uint64) error {
	t.Helper()
	_, err := g.ExportedFunction(name).Call(context.Background(), args...)
	return err
}

func (g *dataGuest) bytes() []byte {
	b, _ := g.Memory().Read(0, g.Memory().Size())
	return b
}

func text(err error) string {
	first, _, _ := strings.Cut(fmt.Sprint(err), "\n")
	return first
}

var large = strings.Repeat("abcdefg\x00", 3*wasmPage/16) // a page and a half

// TestImages compares the memory of instances that have an image with those of
// the module as it was.
func TestImages(t *testing.T) {
	const plain, named = false, true
	tests := map[string]struct {
		module *wasm.Module
		image  bool // there is to be one
	}{
		"none":                  {dataModule(1, plain), false},
		"only passive":          {dataModule(1, named, passive("abc")), false},
		"no memory at first":    {dataModule(0, plain), false},
		"empty at the end of 0": {dataModule(0, plain, active(0, "")), false},
		"one":                   {dataModule(1, plain, active(7, "abc")), true},
		"large":                 {dataModule(3, plain, active(100, large)), true},
		"to the end":            {dataModule(1, plain, active(wasmPage-3, "abc")), true},
		"large to the end":      {dataModule(4, plain, active(4*wasmPage-int32(len(large)), large)), true},
		"empty at the end":      {dataModule(1, plain, active(1, "a"), active(wasmPage, "")), true},
		"beyond the end":        {dataModule(1, plain, active(1, "a"), active(wasmPage-2, "abc")), false},
		"empty beyond the end":  {dataModule(1, plain, active(1, "a"), active(wasmPage+1, "")), false},
		"far beyond the end":    {dataModule(1, plain, active(1, "a"), active(-1, "abc")), false},
		"overlapping":           {dataModule(1, plain, active(10, "aaaaaa"), active(12, "bb"), active(8, "cccc")), true},
		"overlapping, large":    {dataModule(4, plain, active(9, large), active(wasmPage-1, "xyz"), active(5, "123456")), true},
		"apart":                 {dataModule(40, plain, active(1, large), active(20*wasmPage-1, large), active(39*wasmPage, "c")), true},
		"neighbours":            {dataModule(3, plain, active(wasmPage-1, "ab"), active(2*wasmPage-1, "cd"), active(0, "e")), true},
		"scattered": {dataModule(40, plain, active(0, "a"), active(4<<16, "b"), active(8<<16, "c"), active(12<<16, "d"),
			active(16<<16, "e"), active(20<<16, "f"), active(24<<16, "g"), active(28<<16, "h"), active(32<<16, "i")), false},
		"sparse": {dataModule(2000, plain, sparse()...), false},
		"named":  {dataModule(1, named, active(3, "abc"), passive("def")), true},
		"mixed":  {dataModule(1, named, passive("defg"), active(3, "abc")), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := tt.module.Encode()
			spans, err := takeData(tt.module)
			if err != nil {
				t.Fatal(err)
			}
			if (spans != nil) != tt.image {
				t.Fatalf("there are %d spans", len(spans))
			}
			after := tt.module.Encode()
			if tt.image == bytes.Equal(before, after) {
				t.Error("the module is the same with an image, or another one without")
			}
			im := newImage(spans)
			defer im.drop()
			for _, kind := range []string{"mapped", "on the heap"} {
				want, wantErr := instantiate(t, before, nil, "")
				got, err := instantiate(t, after, im, kind)
				if text(err) != text(wantErr) {
					t.Fatalf("%s: the error is %v, want %v", kind, err, wantErr)
				}
				if err != nil {
					continue
				}
				if name == "named" {
					// Code may not read an active segment again, as the specification has
					// it. The engine does not see to that.
					if err := want.do(t, "drop"); err != nil {
						t.Fatal(err)
					}
				}
				compare(t, kind, got, want)
			}
		})
	}
}

// sparse are segments that take little and cover much, in few spans.
func sparse() (segments []wasm.Data) {
	for i := range 1000 {
		segments = append(segments, active(int32(i*wasmPage), "x"))
	}
	return segments
}

// compare does the same with two guests and compares what comes of it.
func compare(t *testing.T, kind string, got, want *dataGuest) {
	t.Helper()
	same := func(when string) {
		t.Helper()
		if !bytes.Equal(got.bytes(), want.bytes()) {
			t.Fatalf("%s: the memory is another %s", kind, when)
		}
	}
	both := func(name string, args ...uint64) {
		t.Helper()
		if got.ExportedFunction(name) == nil && want.ExportedFunction(name) == nil {
			return
		}
		err, wantErr := got.do(t, name, args...), want.do(t, name, args...)
		if text(err) != text(wantErr) {
			t.Fatalf("%s: %s %v gives %v, want %v", kind, name, args, err, wantErr)
		}
		same("after " + name)
	}
	same("at the start")
	both("init", 20, 0, 3)
	both("init", 20, 0, 0)
	both("init", 20, 1, 0)
	both("grow", 2)
	both("drop")
	both("init", 20, 0, 1)
	both("init", 20, 0, 0)
}

// TestInstancesDoNotShareWhatTheyWrite: pages of an image are an instance's own
// as soon as it writes to them.
func TestInstancesDoNotShareWhatTheyWrite(t *testing.T) {
	m := dataModule(4, false, active(1, large), active(2*wasmPage+5, large))
	spans, err := takeData(m)
	if err != nil || spans == nil {
		t.Fatal(spans, err)
	}
	im := newImage(spans)
	code := m.Encode()
	first, err := instantiate(t, code, im, "mapped")
	if err != nil {
		t.Fatal(err)
	}
	fresh := bytes.Clone(first.bytes())
	for i := range first.bytes() {
		first.bytes()[i] = 0xff
	}
	second, err := instantiate(t, code, im, "mapped")
	if err != nil {
		t.Fatal(err)
	}
	im.drop() // what is mapped stays
	if !bytes.Equal(second.bytes(), fresh) {
		t.Error("an instance begins with what another one wrote")
	}
	second.bytes()[1] = 'x'
	if first.bytes()[1] != 0xff {
		t.Error("an instance sees what another one writes")
	}
}
