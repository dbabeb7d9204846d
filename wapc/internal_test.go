package wapc

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseTrap(t *testing.T) {
	tests := []struct {
		text, reason string
		stack        []string
	}{
		{"wasm error: unreachable\nwasm stack trace:\n\tguest.wasm.f(i32,i32) i32\n\tguest.wasm.g() (i32,i64)\n\t.$7()",
			"unreachable", []string{"f", "g", "$7"}},
		{"stopped (recovered by wazero)\nwasm stack trace:\n\twaxo.look()\n\t.waxo.refill()\n\t.$7()", "stopped", []string{"$7"}},
		{"wasm error: out of bounds memory access\nwasm stack trace:\n\tguest.wasm.waxo.fill(i32,i32)\n\tguest.wasm.f()",
			"out of bounds memory access", []string{"f"}},
		{"start function[3] failed: wasm error: integer divide by zero\nwasm stack trace:\n\tguest.wasm.main.init()",
			"integer divide by zero", []string{"main.init"}},
		{"stopped (recovered by wazero)\nwasm stack trace:\n\twapc.__host_call(i32) i32\n\t... maybe followed by omitted frames",
			"stopped", []string{"wapc.__host_call", "... maybe followed by omitted frames"}},
		{"runtime error: index out of range (recovered by wazero)\nwasm stack trace:\n\tguest.wasm.f()\n\nGo runtime stack trace:\ngoroutine 1",
			"runtime error: index out of range", []string{"f"}},
		{"stack overflow", "stack overflow", nil},
		{"", "", nil},
	}
	for _, tt := range tests {
		reason, stack := parseTrap(tt.text, "guest.wasm")
		if reason != tt.reason || !slices.Equal(stack, tt.stack) {
			t.Errorf("%q gives %q %q", tt.text, reason, stack)
		}
	}
	_, stack := parseTrap("x\nwasm stack trace:\n\t"+strings.Repeat("\xff", 1000)+"()", "")
	if len(stack) != 1 || len(stack[0]) > maxFrame || !utf8.ValidString(stack[0]) {
		t.Errorf("a hostile name gives %q", stack)
	}
}

func TestDemangle(t *testing.T) {
	for name, want := range map[string]string{
		"main.main": "main.main",
		"_ZN4core9panicking5panic17h0123456789abcdefE":                                     "core::panicking::panic",
		"_ZN4core9panicking5panic17h0123456789abcdefE.llvm.1":                              "core::panicking::panic",
		"_ZN50_$LT$T$u20$as$u20$core..convert..Into$LT$U$GT$$GT$4into17h0123456789abcdefE": "<T as core::convert::Into<U>>::into",
		"_ZN":                          "_ZN",
		"_ZNE":                         "_ZNE",
		"_ZN99short":                   "_ZN99short",
		"_ZN99999999999999999999longE": "_ZN99999999999999999999longE",
		"_ZN-1xE":                      "_ZN-1xE",
	} {
		if got := demangle(name); got != want {
			t.Errorf("%s gives %s, want %s", name, got, want)
		}
	}
}

func TestValidText(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aé", 2, "a"}, {"a€", 3, "a"}, {"€", 3, "€"},
		{"a\xff", 9, "a\uFFFD"}, {"a\xffb", 3, "a"}, {"\U0001F600x", 4, "\U0001F600"}, {"\xff\xff", 2, ""},
	} {
		if got := validText([]byte(tt.in), tt.limit); got != tt.want {
			t.Errorf("%q of at most %d is %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

// TestMemory runs both kinds of memory through the same paces.
func TestMemory(t *testing.T) {
	const page = 65536
	for _, kind := range []string{"reserved", "heap"} {
		t.Run(kind, func(t *testing.T) {
			m := &linearMemory{limit: 10 * page}
			m.Allocate(page, 1<<32)
			if kind == "heap" {
				m.release()
			} else if m.mapping == nil {
				t.Skip("this system has no reserved memory")
			}
			defer m.release()
			before := 0 // bytes
			for pages := uint64(1); pages <= 10; pages += 3 {
				b := m.Reallocate(pages * page)
				if uint64(len(b)) != pages*page || len(b) != cap(b) || m.size.Load() != int64(len(b)) {
					t.Fatalf("%d pages: %d bytes of %d, size %d", pages, len(b), cap(b), m.size.Load())
				}
				for at := range b {
					want := byte(0)
					if at < before {
						want = byte(at/page) + 1
					}
					if b[at] != want {
						t.Fatalf("byte %d is %d, want %d", at, b[at], want)
					}
					b[at] = byte(at/page) + 1
				}
				before = len(b)
			}
			if m.refused != 0 || m.Reallocate(11*page) != nil || m.refused != 11*page {
				t.Fatalf("refused %d", m.refused)
			}
			m.release()
			m.release()
			if m.size.Load() != 0 {
				t.Fatal("a size after release")
			}
		})
	}
}

// TestStopIsFinal: a call may have its instance and not have begun when the
// pool stops everything.
func TestStopIsFinal(t *testing.T) {
	in := newInstance(&Pool{module: &Module{engine: &Engine{}}})
	in.stopper.stop()
	for range 2 {
		out, err := in.call(t.Context(), []byte("kept"), "op", nil)
		if !errors.Is(err, ErrClosed) || string(out) != "kept" || !in.dead {
			t.Fatalf("got %q, %v", out, err)
		}
	}
}
