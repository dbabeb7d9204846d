package grpcclient

import (
	"bytes"
	"math/rand/v2"
	"net"
	"testing"
)

// written keeps what is written, write by write.
type written struct {
	net.Conn
	writes [][]byte
}

func (w *written) Write(b []byte) (int, error) {
	w.writes = append(w.writes, bytes.Clone(b))
	return len(b), nil
}

func frame(kind, flags byte, size int) []byte {
	return append([]byte{byte(size >> 16), byte(size >> 8), byte(size), kind, flags, 0, 0, 0, 1}, make([]byte, size)...)
}

func TestCork(t *testing.T) {
	const data, settings = 0x0, 0x4
	begin := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 12)...)
	headers := frame(typeHeaders, flagEndHeaders, 40)
	for name, test := range map[string]struct {
		frames [][]byte
		sizes  []int // of the writes that come of them
	}{
		"a call":                {[][]byte{headers, frame(data, flagEndStream, 100)}, []int{49 + 109}},
		"two that cross":        {[][]byte{headers, headers, frame(data, 1, 1), frame(data, 1, 2)}, []int{49 + 49 + 10, 11}},
		"something else comes":  {[][]byte{headers, frame(settings, 1, 0)}, []int{49 + 9}},
		"no body":               {[][]byte{frame(typeHeaders, flagEndHeaders|flagEndStream, 40)}, []int{49}},
		"headers in two frames": {[][]byte{frame(typeHeaders, 0, 40), frame(0x9, flagEndHeaders, 3)}, []int{49, 12}},
		"data of an open one":   {[][]byte{frame(data, 0, 1), frame(data, 0, 1)}, []int{10, 10}},
	} {
		w := new(written)
		c := newCork(w)
		for _, f := range append([][]byte{begin}, test.frames...) {
			if n, err := c.Write(f); n != len(f) || err != nil {
				t.Fatal(n, err)
			}
		}
		if len(w.writes) != len(test.sizes)+1 {
			t.Errorf("%s: there are %d writes", name, len(w.writes))
			continue
		}
		for i, size := range test.sizes {
			if len(w.writes[i+1]) != size {
				t.Errorf("%s: the write %d has %d bytes, want %d", name, i, len(w.writes[i+1]), size)
			}
		}
	}
}

// TestCorkLosesNothing writes frames in pieces of any size.
func TestCorkLosesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		all := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		for range random.IntN(20) {
			all = append(all, frame(byte(random.IntN(3)), byte(random.IntN(6)), random.IntN(50))...)
		}
		w := new(written)
		c := newCork(w)
		for rest := all; len(rest) > 0; {
			n := 1 + random.IntN(min(60, len(rest)))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		kept := len(c.kept)
		c.flush()
		if got := bytes.Join(w.writes, nil); !bytes.Equal(got, all) {
			t.Fatalf("%d bytes became %d", len(all), len(got))
		}
		if kept > 20*59 || c.skip != 0 {
			t.Fatalf("%d bytes were kept; the next frame is %d away", kept, c.skip)
		}
	}
}
