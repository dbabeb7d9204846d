package wat_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/wat"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// references are folders of texts with the modules that wabt's wat2wasm made
// of them. Those of testdata were made with --enable-tail-call --no-check.
var references = []string{
	"testdata", "../../wapc/testdata", "../../wapc/wasm/testdata", "../../wapc/meter/testdata",
	"../../devhost/testdata", "../../devhost/workbench/testdata",
}

func TestReference(t *testing.T) {
	compared := 0
	for _, dir := range references {
		texts, err := filepath.Glob(filepath.Join(dir, "*.wat"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range texts {
			if base := filepath.Base(path); base == "indices.wat" || base == "work.wat" {
				continue // they use vectors
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".wat") + ".wasm")
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			compared++
			t.Run(filepath.Base(path), func(t *testing.T) { compare(t, path, want) })
		}
	}
	if compared < 15 {
		t.Errorf("only %d texts were compared", compared)
	}
}

func compare(t *testing.T, path string, want []byte) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wat.Assemble(string(text))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	m.Customs = nil // names, in some of them
	if want = m.Encode(); !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%s: byte %d differs\n got % x\nwant % x", path, i, got[i:min(i+24, len(got))], want[i:min(i+24, len(want))])
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"(module", "1:1: a ( without its )"},
		{"(module))", "1:9: a ) without its ("},
		{"(module\n  (fun))", "2:4: unknown field \"fun\""},
		{"(module (func) nop)", "1:16: a ( is wanted here"},
		{"(; (; ;)", "1:1: a comment without its end ;)"},
		{"(module (export \"x", "1:17: a string without its end"},
		{"(module (export \"\\q\"", "1:18: unknown escape in a string"},
		{"(module (export \"x\"y))", "1:20: a space is missing"},
		{"(module ,)", "1:9: the character ',' has no place here"},
		{"(module (func\n (i32.ad)))", "2:3: unknown instruction \"i32.ad\""},
		{"(module (func (call $f)))", "1:21: there is no function $f"},
		{"(module (func $f) (func $f))", "1:25: there is a function $f already"},
		{"(module (func (param $a i32) (local $a i32)))", "1:40: there is a local $a already"},
		{"(module (func (br $l)))", "1:19: there is no block $l around this"},
		{"(module (func block nop))", "1:15: block without its end"},
		{"(module (func nop end))", "1:19: end without a block that it belongs to"},
		{"(module (func block $a end $b))", "1:28: the block's name is \"$a\", not $b"},
		{"(module (func (if (i32.const 1))))", "1:19: something is missing behind this"},
		{"(module (func (if (i32.const 1) (then) (then))))", "1:40: nothing is wanted here"},
		{"(module (func (i32.const)))", "1:16: something is missing behind this"},
		{"(module (func (i32.const 0x1_0000_0000)))", "1:26: the number is out of range"},
		{"(module (func (i32.const -2147483649)))", "1:26: the number is out of range"},
		{"(module (func (i64.const 18446744073709551616)))", "1:26: the number is out of range"},
		{"(module (func (i32.const 1__0)))", "1:26: a _ in a number stands between two digits"},
		{"(module (func (i32.const one)))", "1:26: \"one\" is no number"},
		{"(module (func (i32.const --1)))", "1:26: \"-1\" is no number"},
		{"(module (func (i32.const \"1\")))", "1:26: a number is wanted here"},
		{"(module (func (f32.const 1e39)))", "1:26: the number is out of range"},
		{"(module (func (f32.const nan:0x800000)))", "1:26: the bits of a NaN"},
		{"(module (func (f64.const infinity)))", "1:26: \"infinity\" is no number"},
		{"(module (func (i32.const 1 2)))", "1:28: nothing is wanted here"},
		{"(module (func (i32.load align=3 (i32.const 0))))", "1:31: an alignment is a power of two"},
		{"(module (func (nop) (param i32)))", "1:22: unknown instruction \"param\""},
		{"(module (type $t (func)) (func (type $t) (param i32)))", "the type is () -> (), but (i32) -> () follows"},
		{"(module (func (type 0)))", "1:21: there is no type 0"},
		{"(module (type (struct)))", "the only types are those of functions"},
		{"(module (func (param v128)))", "1:22: a value type is wanted here"},
		{"(module (memory 1) (import \"m\" \"f\" (func)))", "an import stands before"},
		{"(module (import \"m\" \"f\" (fun)))", "is one of func, table, memory, global and tag"},
		{"(module (import \"m\" (func)))", "1:21: a string is wanted here"},
		{"(module (memory 4294967296))", "1:17: the number is out of range"},
		{"(module (start 0) (start 0))", "there is a start function already"},
		{"(module (tag))", "a tag can only be imported"},
		{"(module (table 1 i32))", "1:18: a reference type is wanted here"},
		{strings.Repeat("(", 2000), "nested deeper than 1000"},
	} {
		_, err := wat.Assemble(c.text)
		if e := (*wat.Error)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

// What only hosts under test must be seen to refuse has no reference.
func TestLaterProposals(t *testing.T) {
	b, err := wat.Assemble(`(import "m" "t" (tag (param i32))) (import "m" "s" (memory 1 2 shared))`)
	if err != nil {
		t.Fatal(err)
	}
	imports, err := wasm.Imports(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) != 2 || imports[0].Type.Kind != wasm.KindTag || !imports[1].Type.Memory.Shared || imports[1].Type.Memory.Max != 2 {
		t.Errorf("%+v", imports)
	}
}

// What is assembled can be taken apart, and nothing makes the assembler panic.
func FuzzAssemble(f *testing.F) {
	for _, dir := range references {
		texts, err := filepath.Glob(filepath.Join(dir, "*.wat"))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range texts {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		module, err := wat.Assemble(text)
		if err != nil {
			return
		}
		m, err := wasm.Decode(module)
		if err != nil {
			t.Fatalf("%v\n% x", err, module)
		}
		if again := m.Encode(); !bytes.Equal(again, module) {
			t.Errorf("not canonical:\n% x\n% x", module, again)
		}
	})
}

func ExampleAssemble() {
	module, err := wat.Assemble(`
		(module
		  (memory (export "memory") 1)
		  (func (export "__guest_call") (param i32 i32) (result i32)
		    (i32.const 1)))`)
	fmt.Println(len(module), err)
	_, err = wat.Assemble("(module\n  (func (i32.ad)))")
	fmt.Println(err)
	// Output:
	// 61 <nil>
	// 2:10: unknown instruction "i32.ad"
}
