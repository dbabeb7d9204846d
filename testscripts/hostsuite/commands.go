package hostsuite

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/testscripts/wat"
	"github.com/waxosuit/waxo/wascap"
)

// Commands are the commands of the suite's scripts, beyond those of testscript.
func Commands() []script.Command {
	return slices.Concat(moduleCommands(), hostCommands(), httpCommands(), fakeCommands(), libraryCommands())
}

// moduleCommands make modules, good and bad.
func moduleCommands() []script.Command {
	list := []script.Command{
		{
			Name: "wat", Args: "FILE.wat [OUT.wasm]",
			Short:   "Assemble WebAssembly text.",
			Long:    "A text that does not begin with `(module` is what follows the text of probe.wat: that has the imports, the memory and `__guest_call`, and calls the text's `$handle` for each HTTP request.",
			Example: "wat guest.wat\nsign guest.wasm\nhost guest.wasm\nhttp GET / 200 hello\n\n-- guest.wat --\n(data (i32.const 0) \"hello\")\n(func $handle (result i32) (call $say (i32.const 0) (i32.const 5)))",
		},
		{
			Name: "sign", Args: "[-caps LIST] [-only] [-account NAME] [-module NAME] [-exp DURATION] [-nbf DURATION] [-tag TAG] [-rev N] [-o OUT] MODULE.wasm",
			Short:   "Sign a module with keys of the run's own.",
			Long:    "Keys have names and are made on their first use. `wascap:http_server` is claimed without saying, but with `-only`. Durations are from now, and may be negative.",
			Example: "wat guest.wat\nsign -exp -1s guest.wasm\n! host guest.wasm\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "forge", Args: "[-header FILE] [-account NAME] [-token FORM] [-section NAME] [-pad BYTES] [-o OUT] CLAIMS.json MODULE.wasm",
			Short:   "Sign claims as they stand in a file, right or wrong.",
			Long:    "In the claims, {hash}, {now}, {now+1h}, {account}, {module}, {operator} and {service} are filled in; {account other} is the key of that name, {weak} one of small order, and {padding} as many letters as -pad says. -account is an account, or an operator as in `operator boss`. The form of the token is {header}.{payload}.{signature}.",
			Example: "wat guest.wat\nforge claims.json guest.wasm\nhost guest.wasm\n\n-- claims.json --\n{\"jti\":\"x\",\"iat\":{now},\"iss\":\"{account}\",\"sub\":\"{module}\",\"wascap\":{\"hash\":\"{hash}\",\"caps\":[\"wascap:http_server\"]}}\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "mutate", Args: "HOW [ARGUMENT...] IN.wasm OUT.wasm",
			Short:   "Spoil a signed module: flip SECTION, cut BYTES, append NAME CONTENT, strip, repeat-claims, claims-first, pad-claims, rename-claims NAME.",
			Example: "wat guest.wat\nsign guest.wasm\nmutate flip code guest.wasm bad.wasm\n! host bad.wasm\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
	}
	for i, run := range []func(*world, *testscript.TestScript, script.Command, []string){runWat, runSign, runForge, runMutate} {
		list[i].Run = withoutNot(&list[i], run)
	}
	return list
}

// withoutNot makes a command out of one that a script cannot expect to fail.
func withoutNot(c *script.Command, run func(*world, *testscript.TestScript, script.Command, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, not bool, args []string) {
		if not {
			ts.Fatalf("! %s means nothing", c.Name)
		}
		run(worldOf(ts), ts, *c, args)
	}
}

// probe is the text that most guests begin with.
func probe() string {
	text, err := files.ReadFile("probe.wat")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

var moduleText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\s|;;[^\n]*\n)*\(module\b`)
})

// assemble assembles the text of a guest, with the probe's in front where it is no
// whole module.
func assemble(text string) ([]byte, error) {
	if moduleText().MatchString(text) {
		return wat.Assemble(text)
	}
	head := probe()
	module, err := wat.Assemble(head + text)
	if e := (*wat.Error)(nil); errors.As(err, &e) {
		if e.Line -= strings.Count(head, "\n"); e.Line < 1 {
			e.Line, e.Column, e.Message = 1, 1, "it does not fit behind probe.wat: "+e.Message
		}
	}
	return module, err
}

func runWat(_ *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 1, 2)
	module, err := assemble(ts.ReadFile(a.rest[0]))
	if err != nil {
		ts.Fatalf("%s:%v", a.rest[0], err)
	}
	out := withEnding(a.rest[0], ".wasm")
	if len(a.rest) == 2 {
		out = a.rest[1]
	}
	write(ts, out, module)
}

func write(ts *testscript.TestScript, name string, b []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o600))
}

// signingOf reads the flags of sign.
func signingOf(a *arguments) *signing {
	var caps []string
	if list := a.get("caps"); list != "" {
		caps = strings.Split(list, ",")
	}
	s := usual(caps...)
	if a.has("only") {
		s.caps = caps
	}
	s.account, s.module = a.or("account", s.account), a.or("module", s.module)
	s.expires, s.notBefore, s.tags = a.duration("exp"), a.duration("nbf"), a.flags["tag"]
	s.revision = a.size("rev")
	return s
}

const signFlags = "caps: only account: module: exp: nbf: tag: rev: "

func runSign(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, signFlags+"o:", 1, 1)
	signed, err := w.suite.keys.sign([]byte(ts.ReadFile(a.rest[0])), signingOf(a))
	ts.Check(err)
	write(ts, a.or("o", a.rest[0]), signed)
}

func runForge(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "header: account: token: section: pad: o:", 2, 2)
	f := &forgery{header: usualHeader, payload: strings.TrimSpace(ts.ReadFile(a.rest[0])), token: a.or("token", usualToken), section: a.or("section", jwtSection), padding: a.size("pad")}
	if a.has("header") {
		f.header = strings.TrimSpace(ts.ReadFile(a.get("header")))
	}
	kind, name := wascap.Account, a.or("account", usualAccount)
	if operator, ok := strings.CutPrefix(name, "operator "); ok {
		kind, name = wascap.Operator, operator
	}
	var err error
	f.issuer, err = w.suite.keys.get(kind, name)
	ts.Check(err)
	forged, err := w.suite.keys.forge([]byte(ts.ReadFile(a.rest[1])), f)
	ts.Check(err)
	write(ts, a.or("o", a.rest[1]), forged)
}

func runMutate(_ *world, ts *testscript.TestScript, c script.Command, args []string) {
	if len(args) < 3 {
		c.Usage(ts)
	}
	n := len(args) - 2
	module, err := mutate([]byte(ts.ReadFile(args[n])), args[0], args[1:n])
	ts.Check(err)
	write(ts, args[n+1], module)
}

// moduleFile is the file of a module that a script names: a text is assembled and
// signed as most are.
func moduleFile(w *world, ts *testscript.TestScript, name string, s *signing) string {
	if filepath.Ext(name) != ".wat" {
		return ts.MkAbs(name)
	}
	module, err := assemble(ts.ReadFile(name))
	if err != nil {
		ts.Fatalf("%s:%v", name, err)
	}
	signed, err := w.suite.keys.sign(module, s)
	ts.Check(err)
	out := withEnding(name, ".wasm")
	write(ts, out, signed)
	return ts.MkAbs(out)
}
