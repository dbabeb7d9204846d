package seal_test

import (
	"testing"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// BenchmarkSeal seals the Go guest; beside it, what reading, walking and
// writing it costs without any change.
func BenchmarkSeal(b *testing.B) {
	module, err := goGuest()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(module)))
		for b.Loop() {
			if _, _, err := seal.Seal(module, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode and encode", func(b *testing.B) {
		b.SetBytes(int64(len(module)))
		for b.Loop() {
			m, err := wasm.Decode(module)
			if err != nil {
				b.Fatal(err)
			}
			m.Encode()
		}
	})
}
