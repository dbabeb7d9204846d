package wasm_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// walk checks that the instructions fill the code without a gap.
func walk(t *testing.T, code []byte) []wasm.Instr {
	t.Helper()
	var all []wasm.Instr
	r := wasm.NewReader(code)
	at := 0
	refs := wasm.NewReader(code)
	for {
		in, ok := r.Next()
		if !ok {
			break
		}
		if in.RefersToFunc() {
			if ref, ok := refs.NextFuncRef(); !ok || ref != in {
				t.Fatalf("the next reference to a function is %+v, %v, and should be %+v", ref, ok, in)
			}
		}
		if in.Start != at || in.Imm <= in.Start || in.End < in.Imm || in.End > len(code) || in.Depth < -1 {
			t.Fatalf("%+v follows offset %d of %d", in, at, len(code))
		}
		at = in.End
		all = append(all, in)
	}
	if r.Err() == nil && at != len(code) {
		t.Fatalf("the walk ended at %d of %d without an error", at, len(code))
	}
	if _, ok := r.Next(); ok {
		t.Fatal("there is an instruction after the last")
	}
	walkPlain(t, code, all, r.Err())
	if ref, ok := refs.NextFuncRef(); ok || fmt.Sprint(refs.Err()) != fmt.Sprint(r.Err()) {
		t.Fatalf("after the last reference to a function there is %+v, %v; error %v, and should be %v", ref, ok, refs.Err(), r.Err())
	}
	return all
}

// walkPlain checks that a reader which reads plain instructions in runs finds
// the same instructions, and the same error.
func walkPlain(t *testing.T, code []byte, all []wasm.Instr, failure error) {
	t.Helper()
	r := wasm.NewReader(code)
	for i, most := 0, 0; ; i++ {
		most = (most + 1) % 4
		run := r.Plain(most)
		if i+run.N > len(all) || run.N > most {
			t.Fatalf("a run of %d after %d of %d instructions", run.N, i, len(all))
		}
		before, last := -1, -1
		for _, in := range all[i : i+run.N] {
			before, last = last, in.Start
			if in.End > run.End {
				t.Fatalf("the run ends at %d, in the middle of %+v", run.End, in)
			}
		}
		if run.Before != before || run.Last != last {
			t.Fatalf("the last instructions of a run start at %d, %d, want %d, %d", run.Before, run.Last, before, last)
		}
		i += run.N
		in, ok := r.Next()
		if !ok && i == len(all) {
			break
		}
		if !ok || i == len(all) || in != all[i] {
			t.Fatalf("instruction %d of %d is %+v, %t", i, len(all), in, ok)
		}
	}
	if fmt.Sprint(r.Err()) != fmt.Sprint(failure) {
		t.Fatalf("the error is %v, want %v", r.Err(), failure)
	}
}

// Most of what compilers make is plain.
func TestPlain(t *testing.T) {
	c := wasm.NewCode(1)
	c.Get(0).I32(-5).Mem(wasm.OpI32Load, 300).Op(wasm.OpI32Add).I64(1 << 20).Set(0).Op(wasm.OpI32DivU)
	if run := wasm.NewReader(c.Body().Code).Plain(100); run.N != 6 {
		t.Errorf("a run of %d instructions, want 6", run.N)
	}
}

// sample is one instruction with immediates that take more than a byte where
// they can, found by asking the Reader which ones fit.
func sample(op []byte) []byte {
	shapes := [][]byte{
		{},
		{0x80, 0x00},             // index, number
		{0x00, 0x80, 0x00},       // block type, alignment and offset
		{0x00, 0x80, 0x01, 0x03}, // alignment, offset, lane
		{0x01, 0x7f},
		{0x70},
		{0x00},
		{0, 0, 0, 0},
		{0, 0, 0, 0, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	}
	const nop = 0x01
	for _, imm := range shapes {
		code := slices.Concat(op, imm, []byte{nop, nop, 0x0b})
		r := wasm.NewReader(code)
		in, ok := r.Next()
		if !ok || in.End != len(op)+len(imm) {
			continue
		}
		if opensBlock(in.Op) {
			return slices.Concat(op, imm, []byte{0x0b})
		}
		return code[:in.End]
	}
	return nil
}

func opensBlock(op wasm.Opcode) bool {
	return op == wasm.OpBlock || op == wasm.OpLoop || op == wasm.OpIf
}

// TestOpcodesAgainstWabt has another implementation find the same bounds of
// each instruction that is known: a module with one function for each.
func TestOpcodesAgainstWabt(t *testing.T) {
	const nop = 0x01
	one := uint32(1)
	m := &wasm.Module{
		Types: []wasm.FuncType{{}}, Memories: []wasm.Limits{{}},
		DataCount: &one, Data: []wasm.Data{{Form: 1}},
	}
	var bodies [][]byte
	add := func(op ...byte) {
		if s := sample(op); s != nil && op[0] != byte(wasm.OpElse) && op[0] != byte(wasm.OpEnd) {
			m.Funcs = append(m.Funcs, 0)
			m.Code = append(m.Code, wasm.Body{Code: slices.Concat(s, []byte{nop, 0x0b})})
			bodies = append(bodies, s)
		}
	}
	for op := range 0xfb {
		add(byte(op))
	}
	for _, prefix := range []byte{0xfb, 0xfc, 0xfd, 0xfe} {
		for op := range uint32(300) {
			add(wasm.AppendUint32([]byte{prefix}, op)...)
		}
	}
	// Core 2.0 has 183 plain opcodes, of which two are left out here, 18 behind
	// 0xfc and 236 behind 0xfd; tail calls are two more.
	if got, want := len(bodies), 183-2+18+236+2; got != want {
		t.Errorf("%d opcodes are known, want %d", got, want)
	}
	file := filepath.Join(t.TempDir(), "opcodes.wasm")
	if err := os.WriteFile(file, m.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	listing := string(tool(t, "wasm-objdump", "-d", file))
	functions := regexp.MustCompile(`(?m)^[0-9a-f]+ func\[\d+\]:\n`).Split(listing, -1)[1:]
	if len(functions) != len(bodies) {
		t.Fatalf("wasm-objdump lists %d functions of %d", len(functions), len(bodies))
	}
	for i, f := range functions {
		want := []string{fmt.Sprintf("% x", bodies[i]), "01", "0b"}
		if op := bodies[i]; opensBlock(wasm.Opcode(op[0])) { // the sample closes it
			want = []string{fmt.Sprintf("% x", op[:len(op)-1]), "0b", "01", "0b"}
		}
		if got := listedInstructions(f); !slices.Equal(got, want) {
			t.Errorf("% x is read as\n%s", bodies[i], f)
		}
	}
}

// listedInstructions collects the bytes of each instruction that wasm-objdump
// lists in a function. A long one goes on in lines without a mnemonic.
func listedInstructions(listing string) []string {
	var all []string
	for line := range strings.Lines(listing) {
		_, rest, _ := strings.Cut(line, ":")
		bytes, mnemonic, ok := strings.Cut(rest, "|")
		switch bytes = strings.TrimSpace(bytes); {
		case !ok:
		case strings.TrimSpace(mnemonic) == "":
			all[len(all)-1] += " " + bytes
		default:
			all = append(all, bytes)
		}
	}
	return all
}

func TestBadCode(t *testing.T) {
	tests := []struct {
		name string
		code []byte
		want error
		text string
	}{
		{"nothing", nil, wasm.ErrMalformed, "offset 0"},
		{"no end", []byte{0x01}, wasm.ErrMalformed, "offset 1"},
		{"no end of the block", []byte{0x02, 0x40, 0x0b}, wasm.ErrMalformed, "offset 3"},
		{"code behind the end", []byte{0x0b, 0x01}, wasm.ErrMalformed, "offset 1"},
		{"index cut off", []byte{0x10, 0x80}, wasm.ErrMalformed, "offset 0"},
		{"index overlong", []byte{0x10, 0x80, 0x80, 0x80, 0x80, 0x10, 0x0b}, wasm.ErrMalformed, "offset 0"},
		{"i32 overlong", []byte{0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}, wasm.ErrMalformed, "offset 0"},
		{"i64 overlong", []byte{0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x0b}, wasm.ErrMalformed, "offset 0"},
		{"4 billion labels", []byte{0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}, wasm.ErrMalformed, "offset 0"},
		{"4 billion types", []byte{0x1c, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}, wasm.ErrMalformed, "offset 0"},
		{"constant cut off", []byte{0x44, 0, 0, 0, 0}, wasm.ErrMalformed, "offset 0"},
		{"try", []byte{0x01, 0x06, 0x40, 0x0b, 0x0b}, wasm.ErrUnsupported, "unknown opcode 0x06"},
		{"throw", []byte{0x01, 0x08, 0x00, 0x0b}, wasm.ErrUnsupported, "offset 1"},
		{"call_ref", []byte{0x14, 0x00, 0x0b}, wasm.ErrUnsupported, "0x14"},
		{"struct.new", []byte{0xfb, 0x00, 0x00, 0x0b}, wasm.ErrUnsupported, "0xfb"},
		{"atomic.fence", []byte{0xfe, 0x03, 0x00, 0x0b}, wasm.ErrUnsupported, "0xfe"},
		{"relaxed swizzle", []byte{0xfd, 0x80, 0x02, 0x0b}, wasm.ErrUnsupported, "0xfd 256"},
		{"hole in SIMD", []byte{0xfd, 0x9a, 0x01, 0x0b}, wasm.ErrUnsupported, "0xfd 154"},
		// Taken for i16x8.shr_s by an engine that reads one byte, and for v128.const
		// by one that reads them all: the 16 bytes behind would be code in one.
		{"vector opcode overlong", append([]byte{0xfd, 0x8c, 0x00}, make([]byte, 17)...), wasm.ErrUnsupported, "in 2 bytes"},
		{"huge number behind the prefix", []byte{0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b}, wasm.ErrUnsupported, "0xfc"},
		{"block of a GC type", []byte{0x02, 0x6e, 0x0b, 0x0b}, wasm.ErrUnsupported, "0x6e"},
		{"null of a GC type", []byte{0xd0, 0x6e, 0x0b}, wasm.ErrUnsupported, "0x6e"},
		{"select of a GC type", []byte{0x1c, 1, 0x6e, 0x0b}, wasm.ErrUnsupported, "0x6e"},
		{"negative block type", []byte{0x02, 0xc0, 0x7f, 0x0b, 0x0b}, wasm.ErrUnsupported, "block type"},
		{"alignment with unknown bits", []byte{0x28, 0x80, 0x01, 0x00, 0x0b}, wasm.ErrUnsupported, "alignment"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := wasm.NewReader(test.code)
			for {
				if _, ok := r.Next(); !ok {
					break
				}
			}
			if err := r.Err(); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

func TestInstructionsHaveDepthAndIndex(t *testing.T) {
	c := wasm.NewCode(1)
	c.Loop(func() {
		c.Get(0).IfElse(func() { c.Call(300) }, func() { c.Br(1) })
	})
	const tableSize, i64x2Mul wasm.Opcode = 0xfc<<16 | 16, 0xfd<<16 | 0xd5
	c.Index(tableSize, 9).Op(i64x2Mul)
	c.Index(wasm.OpRefFunc, 7).Index(wasm.OpReturnCall, 8)
	type short struct {
		op    wasm.Opcode
		index uint32
		depth int
		refer bool
	}
	want := []short{
		{wasm.OpLoop, 0, 0, false},
		{wasm.OpLocalGet, 0, 1, false},
		{wasm.OpIf, 0, 1, false},
		{wasm.OpCall, 300, 2, true},
		{wasm.OpElse, 0, 1, false},
		{wasm.OpBr, 1, 2, false},
		{wasm.OpEnd, 0, 1, false},
		{wasm.OpEnd, 0, 0, false},
		{tableSize, 9, 0, false},
		{i64x2Mul, 0, 0, false},
		{wasm.OpRefFunc, 7, 0, true},
		{wasm.OpReturnCall, 8, 0, true},
		{wasm.OpEnd, 0, -1, false},
	}
	var got []short
	for _, in := range walk(t, c.Body().Code) {
		got = append(got, short{in.Op, in.Index, in.Depth, in.RefersToFunc()})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func FuzzReader(f *testing.F) {
	m, err := wasm.Decode(indices(f))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range m.Code {
		f.Add(b.Code)
	}
	f.Fuzz(func(t *testing.T, code []byte) { walk(t, code) })
}
