package seal_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// print writes the texts with one call of fd_write, from addresses that start
// at base. It returns what the guest is told.
func (s *sandbox) print(fd uint64, base uint32, texts ...string) (written, errno uint32) {
	s.t.Helper()
	const iovs = 50000
	var list []byte
	for _, text := range texts {
		s.write(base, []byte(text))
		list = binary.LittleEndian.AppendUint32(list, base)
		list = binary.LittleEndian.AppendUint32(list, uint32(len(text)))
		base += uint32(len(text))
	}
	s.write(iovs, append(list, 0xff, 0xff, 0xff, 0xff))
	errno = s.errno("fd_write", fd, iovs, uint64(len(texts)), iovs+uint64(len(list)))
	return s.u32(iovs + uint32(len(list))), errno
}

func TestLines(t *testing.T) {
	out := func(texts ...string) func(*sandbox) {
		return func(s *sandbox) {
			written, errno := s.print(1, 2000, texts...)
			if want := len(strings.Join(texts, "")); errno != 0 || written != uint32(want) {
				s.t.Errorf("%d of %d bytes were written, error number %d", written, want, errno)
			}
		}
	}
	err := func(text string) func(*sandbox) {
		return func(s *sandbox) { s.print(2, 2000, text) }
	}
	long := strings.Repeat("0123456789abcdef", 64) // as long as the buffer
	tests := []struct {
		name string
		do   []func(*sandbox)
		want []string
	}{
		{"one", []func(*sandbox){out("hello\n")}, []string{"hello"}},
		{"empty", []func(*sandbox){out("\n"), out("a"), out("\n"), out("\n")}, []string{"", "a", ""}},
		{"nothing", []func(*sandbox){out(), out(""), out("", "")}, nil},
		{"unfinished", []func(*sandbox){out("hello")}, nil},
		{"three in one", []func(*sandbox){out("a\nbc\nd\n")}, []string{"a", "bc", "d"}},
		{"fragments", []func(*sandbox){out("pan"), out("ic: ", "", "x"), out("\ngorou"), out("tine 1\n")}, []string{"panic: x", "goroutine 1"}},
		{"several texts of one write", []func(*sandbox){out("a", "b\nc", "\n", "d\n")}, []string{"ab", "c", "d"}},
		{"all else is kept", []func(*sandbox){out("\ttab\r\n\x00\xff\n")}, []string{"\ttab\r", "\x00\xff"}},
		{"streams do not mix", []func(*sandbox){out("out"), err("err"), out("more\n"), err("x\n")}, []string{"out", "err", "more", "x"}},
		{"nothing does not end a line of the other", []func(*sandbox){out("ou"), err(""), out("t\n")}, []string{"out"}},
		{"a long line in one write", []func(*sandbox){out(long + long + "\n")}, []string{long + long}},
		{"a full buffer", []func(*sandbox){out(long), out("\n")}, []string{long}},
		{"more than a buffer", []func(*sandbox){out(long), out("x\n")}, []string{long, "x"}},
		{"much more", []func(*sandbox){out(long + long), out(long + "x"), out("\n")}, []string{long, long, long, "x"}},
		{"characters are not cut", []func(*sandbox){out(long[:1021]), out("😀"), out("é\n")}, []string{long[:1021], "😀é"}},
		{"characters that fit", []func(*sandbox){out(long[:1020]), out("😀"), out("é\n")}, []string{long[:1020] + "😀", "é"}},
		{"two bytes", []func(*sandbox){out(long[:1022]), out("é"), out("é\n")}, []string{long[:1022] + "é", "é"}},
		{"three bytes", []func(*sandbox){out(long[:1022]), out("€"), out("é\n")}, []string{long[:1022], "€é"}},
		{"no characters at all", []func(*sandbox){out(strings.Repeat("\x80", 1500)), out("\n")}, []string{strings.Repeat("\x80", 1024), strings.Repeat("\x80", 476)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSandbox(t, nil)
			for _, do := range test.do {
				do(s)
			}
			if got := s.takeLines(); !slices.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

// A line passes through the first bytes of the memory: nobody may notice, and
// text that stands there must arrive too.
func TestMemoryIsLeftAsItWas(t *testing.T) {
	s := newSandbox(t, nil)
	before := make([]byte, 65536)
	for i := range before {
		before[i] = byte(i*7 + i>>8)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var sent, got strings.Builder
	for range 300 {
		s.write(0, before)
		text := randomText(random)
		base := uint32(random.IntN(1200))
		if written, errno := s.print(1, base, text); errno != 0 || written != uint32(len(text)) {
			t.Fatalf("%d of %d bytes, error number %d", written, len(text), errno)
		}
		sent.WriteString(text)
		after := s.read(0, 50000)
		want := slices.Concat(before[:base], []byte(text), before[base+uint32(len(text)):50000])
		if !bytes.Equal(after, want) {
			t.Fatal("the memory has changed")
		}
	}
	s.print(1, 0, "\n")
	for _, line := range s.takeLines() {
		if !utf8.ValidString(line) {
			t.Errorf("a character was cut in %q", line)
		}
		got.WriteString(line)
	}
	if want := strings.ReplaceAll(sent.String(), "\n", ""); got.String() != want {
		t.Errorf("%d bytes arrived of %d, or others", got.Len(), len(want))
	}
}

func randomText(random *rand.Rand) string {
	alphabet := []string{"a", "b", "é", "€", "😀", "\n"}
	var b strings.Builder
	for range random.IntN(1 << random.IntN(9)) {
		i := random.IntN(len(alphabet))
		if alphabet[i] == "\n" && random.IntN(40) != 0 {
			i = 0
		}
		b.WriteString(alphabet[i])
	}
	return b.String()
}

func TestWriteRefuses(t *testing.T) {
	s := newSandbox(t, nil)
	for _, fd := range []uint64{0, 3, 0xffffffff} {
		if _, errno := s.print(fd, 100, "x\n"); errno != 8 {
			t.Errorf("writing to %d gives the error number %d", fd, errno)
		}
	}
	if got := s.takeLines(); got != nil {
		t.Errorf("lines %q arrived", got)
	}
	s.write(100, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 65530), 100))
	for _, args := range [][]uint64{{1, 100, 1, 200}, {1, 65530, 1, 200}, {1, 0, 1, 65533}} {
		if _, err := s.mod.ExportedFunction("fd_write").Call(t.Context(), args...); err == nil {
			t.Errorf("fd_write%v reached behind the memory", args)
		}
	}
}

func TestExit(t *testing.T) {
	for status, want := range map[uint64][]string{
		0:          {"bye"},
		3:          {"bye", "exit status 3"},
		10:         {"bye", "exit status 10"},
		4294967295: {"bye", "exit status 4294967295"},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newSandbox(t, nil)
			s.print(2, 100, "bye")
			_, err := s.mod.ExportedFunction("proc_exit").Call(t.Context(), status)
			if err == nil || !strings.Contains(err.Error(), "unreachable") || !strings.Contains(err.Error(), "wasi_snapshot_preview1.proc_exit") {
				t.Errorf("error %v, want unreachable in wasi_snapshot_preview1.proc_exit", err)
			}
			if got := s.takeLines(); !slices.Equal(got, want) {
				t.Errorf("lines %q, want %q", got, want)
			}
		})
	}
}
