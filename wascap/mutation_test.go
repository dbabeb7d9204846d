package wascap_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/wascap"
)

// TestEveryByteCounts changes every byte of a signed module to each of the 255
// other values, and leaves out and doubles each byte. Under -short, one value
// in eleven.
func TestEveryByteCounts(t *testing.T) {
	claims := wascap.Claims{Subject: pub(fixedKey(t, wascap.Module, "m")), Name: "n", Capabilities: []string{"a:b"}}
	signed := mustSign(t, smallModule, claims, fixedKey(t, wascap.Account, "a"))
	if _, err := wascap.Verify(signed, noon); err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 11
	}
	inParallel(len(signed), func(i int) {
		module := bytes.Clone(signed)
		for change := 1 + i%step; change < 256; change += step {
			module[i] = signed[i] ^ byte(change)
			if _, err := wascap.Verify(module, noon); err == nil {
				t.Errorf("accepted with byte %d changed from %#x to %#x", i, signed[i], module[i])
			}
		}
		if _, err := wascap.Verify(append(bytes.Clone(signed[:i]), signed[i+1:]...), noon); err == nil {
			t.Errorf("accepted without byte %d", i)
		}
		if _, err := wascap.Verify(append(bytes.Clone(signed[:i]), signed[i-min(i, 1):]...), noon); err == nil && i > 0 {
			t.Errorf("accepted with byte %d doubled", i-1)
		}
		if _, err := wascap.Verify(signed[:i], noon); err == nil {
			t.Errorf("accepted when cut at byte %d", i)
		}
	})
}

// TestMutations breaks a Go guest in 20,000 random ways (1,000 under -short
// and with the race detector, which looks for other things). Half of them touch
// the claims section, which is a thousandth of the file.
func TestMutations(t *testing.T) {
	guest := buildGuest(t)
	account := fixedKey(t, wascap.Account, "a")
	sign := func(name string) []byte {
		return mustSign(t, guest, wascap.Claims{Subject: pub(fixedKey(t, wascap.Module, "m")), Name: name}, account)
	}
	signed, donor := sign("guest"), sign("donor")
	if _, err := wascap.Verify(signed, noon); err != nil {
		t.Fatal(err)
	}
	count := 20000
	if testing.Short() || raceEnabled {
		count = 1000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var buffers sync.Pool
	inParallel(count, func(i int) {
		buffer, ok := buffers.Get().(*[]byte)
		if !ok {
			buffer = new([]byte)
		}
		m := mutator{rand.New(rand.NewPCG(seed, uint64(i))), signed, donor, len(guest)}
		kind, module := m.mutate((*buffer)[:0])
		if bytes.Equal(module, signed) || bytes.Equal(module, donor) {
			t.Errorf("mutation %d (%s) changed nothing", i, kind)
		}
		if _, err := wascap.Verify(module, noon); err == nil {
			t.Errorf("mutation %d (%s) was accepted", i, kind)
		}
		*buffer = module
		buffers.Put(buffer)
	})
}

// mutator makes changed copies of a signed module. The donor is another signed
// module; both have their claims section at the same offset.
type mutator struct {
	*rand.Rand
	signed, donor []byte
	claims        int
}

// offset is one in the claims section or anywhere, with the same odds.
func (m *mutator) offset() int {
	if m.IntN(2) == 0 {
		return m.IntN(len(m.signed))
	}
	return m.claims + m.IntN(len(m.signed)-m.claims)
}

// mutate appends a changed module to b, and names the way it was changed.
func (m *mutator) mutate(b []byte) (kind string, module []byte) {
	for {
		kind, module = m.once(append(b[:0], m.signed...))
		if !bytes.Equal(module, m.signed) && !bytes.Equal(module, m.donor) {
			return kind, module
		}
		b = module
	}
}

func (m *mutator) once(module []byte) (string, []byte) {
	at := m.offset()
	end := min(at+1+m.IntN(16), len(module))
	switch m.IntN(9) {
	case 0:
		module[at] ^= 1 << m.IntN(8)
		return "flip a bit", module
	case 1:
		module[at] = byte(m.Uint32())
		return "set a byte", module
	case 2:
		for i := range module[at:end] {
			module[at+i] = byte(m.Uint32())
		}
		return "set some bytes", module
	case 3:
		grown := append(module, module[len(module)-(end-at):]...)
		copy(grown[end:], grown[at:len(module)])
		for i := at; i < end; i++ {
			grown[i] = byte(m.Uint32())
		}
		return "insert", grown
	case 4:
		return "delete", append(module[:at], module[end:]...)
	case 5:
		return "truncate", module[:at]
	case 6:
		other := m.offset()
		module[at], module[other] = module[other], module[at]
		return "swap", module
	case 7:
		other := m.IntN(len(m.donor))
		copy(module[at:end], m.donor[other:])
		return "copy from another module", module
	default:
		return "splice", append(module[:at], m.donor[at:]...)
	}
}

// inParallel calls f with 0 to n-1 on all processors.
func inParallel(n int, f func(i int)) {
	var wait sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wait.Wait()
}

func buildGuest(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, text)
	}
	guest, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return guest
}
