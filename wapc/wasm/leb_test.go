package wasm_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// The shortest signed form of a number and its padded forms are one
// instruction; a byte or a bit more than the type has is none.
func TestSignedConstants(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8192, math.MaxInt32, math.MinInt32} {
		for op, most := range map[wasm.Opcode]int{wasm.OpI32Const: 5, wasm.OpI64Const: 10} {
			number := wasm.AppendInt64(nil, v)
			for ; len(number) <= most; number = pad(number, v < 0) {
				code := append(append([]byte{byte(op)}, number...), 0x0b)
				if all := walk(t, code); len(all) != 2 || all[0].End != 1+len(number) {
					t.Errorf("%#x, %d as % x is read as %+v", uint32(op), v, number, all)
				}
			}
			r := wasm.NewReader(append(append([]byte{byte(op)}, number...), 0x0b))
			if in, ok := r.Next(); ok {
				t.Errorf("%#x, %d as % x is read as %+v", uint32(op), v, number, in)
			}
		}
	}
	for _, v := range []int64{math.MaxInt64, math.MinInt64, math.MaxInt32 + 1} {
		number := append(wasm.AppendInt64(nil, v), 0x0b)
		if all := walk(t, append([]byte{byte(wasm.OpI64Const)}, number...)); len(all) != 2 {
			t.Errorf("%d as i64 is read as %+v", v, all)
		}
		if all := walk(t, append([]byte{byte(wasm.OpI32Const)}, number...)); len(all) != 0 {
			t.Errorf("%d as i32 is read as %+v", v, all)
		}
	}
}

// pad lengthens a signed LEB128 number by a byte.
func pad(number []byte, negative bool) []byte {
	last := byte(0)
	if negative {
		last = 0x7f
	}
	padded := append([]byte(nil), number...)
	padded[len(padded)-1] |= 0x80
	return append(padded, last)
}

func FuzzUint32(f *testing.F) {
	f.Add(uint32(0), 0)
	f.Add(uint32(math.MaxUint32), 3)
	f.Fuzz(func(t *testing.T, v uint32, cut int) {
		b := wasm.AppendUint32(nil, v)
		if want := binary.AppendUvarint(nil, uint64(v)); string(b) != string(want) {
			t.Fatalf("%d is written as % x, want % x", v, b, want)
		}
		if got, n, err := wasm.Uint32(append(b, 0xff)); got != v || n != len(b) || err != nil {
			t.Fatalf("%d is read as %d, %d bytes, error %v", v, got, n, err)
		}
		if cut = max(0, cut); cut < len(b) {
			if got, _, err := wasm.Uint32(b[:cut]); err == nil {
				t.Fatalf("% x is read as %d", b[:cut], got)
			}
		}
	})
}
