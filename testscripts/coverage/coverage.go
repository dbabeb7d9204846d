// Package coverage tells which rules of docs/protocol.md are checked by what: by
// the scripts of the suites for guests and hosts, by the conversations with
// providers, by the test vectors, and by tests in Go where nothing else can.
//
// Gather reads what there is, and what is wrong with it: a check that names a rule
// which there is not, or one that binds somebody whom the check does not look at,
// and a MUST that nothing checks. Table makes docs/coverage.md of it.
//
// It runs no check, and does not know whether one is good.
package coverage

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/testscripts/parity"
	"github.com/waxosuit/waxo/testscripts/rules"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/testscripts/vectors"
)

// Check is something that checks a rule.
type Check struct {
	Suite string // what it belongs to, such as "guest" or "calls/calls.json"
	Name  string // its own name
	File  string // where it stands, from the repository's root
}

// Coverage is what is checked.
type Coverage struct {
	Rules    *rules.Rules
	Checks   map[string][]Check // by the rule's ID
	Problems []string           // what is wrong, sorted
}

// Gather reads the checks of a repository, whose root is given, for the rules of
// docs/protocol.md.
func Gather(root fs.FS) (*Coverage, error) {
	c := &Coverage{Rules: rules.Protocol(), Checks: make(map[string][]Check)}
	for _, s := range scriptSuites {
		if err := c.scripts(root, s); err != nil {
			return nil, fmt.Errorf("coverage: %w", err)
		}
	}
	c.cases()
	if err := c.vectors(); err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	for _, t := range goTests {
		if err := c.goTest(root, t); err != nil {
			return nil, fmt.Errorf("coverage: %w", err)
		}
	}
	for _, r := range c.Rules.All() {
		if r.Level == rules.Must && len(c.Checks[r.ID]) == 0 {
			c.problem("%s is checked by nothing: %s", r.ID, r.Text)
		}
	}
	slices.Sort(c.Problems)
	return c, nil
}

func (c *Coverage) problem(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

// add notes that a check, which looks at such parties, checks these rules.
func (c *Coverage) add(check Check, parties []string, ids []string) {
	if len(ids) == 0 && !slices.Contains(unruled, check.Name) {
		c.problem("%s: %s names no rule", check.Suite, check.Name)
	}
	for _, id := range ids {
		r, ok := c.Rules.Find(id)
		switch {
		case !ok:
			c.problem("%s: %s names the rule %s, which there is not", check.Suite, check.Name, id)
		case !slices.ContainsFunc(r.Parties, func(p string) bool { return slices.Contains(parties, p) }):
			c.problem("%s: %s names the rule %s, which binds no %s", check.Suite, check.Name, id, strings.Join(parties, " and no "))
		default:
			c.Checks[id] = append(c.Checks[id], check)
		}
	}
}

// scriptSuite is a suite of scripts, and the parties that it looks at.
type scriptSuite struct {
	name, dir string
	parties   []string
}

// A host is looked at with its HTTP server: that is how its guests are reached.
var scriptSuites = []scriptSuite{
	{"guest", "testscripts/guestsuite/scripts", []string{"guest", "signer"}},
	{"host", "testscripts/hostsuite/scripts", []string{"host", "provider"}},
}

func (c *Coverage) scripts(root fs.FS, suite scriptSuite) error {
	scripts, err := script.ReadFS(root, suite.dir)
	if err != nil {
		return err
	}
	if len(scripts) == 0 {
		c.problem("%s: there are no scripts in %s", suite.name, suite.dir)
	}
	for _, s := range scripts {
		c.add(Check{suite.name, s.Name, path.Join(suite.dir, s.Name+".txtar")}, suite.parties, s.Rules)
		if len(s.Rules) == 0 {
			continue
		}
		if r, ok := c.Rules.Find(s.Rules[0]); ok && s.Section != r.Section {
			c.problem("%s: %s says section %q, but %s stands in %q", suite.name, s.Name, s.Section, r.ID, r.Section)
		}
	}
	return nil
}

// unruled are checks that hold nobody to a rule: conversations that serve to compare
// two providers, and the question whether a guest can be looked at at all.
var unruled = []string{"calls at random", "module-runs"}

func (c *Coverage) cases() {
	for _, suite := range parity.All() {
		name := suite.Capability[strings.IndexByte(suite.Capability, ':')+1:]
		for _, k := range suite.Cases {
			c.add(Check{name, k.Name, "testscripts/parity"}, []string{"provider"}, k.Rules)
		}
	}
}

// vectorParties are whom the files of vectors are for. Payloads are for everybody.
var vectorParties = map[string][]string{
	vectors.KeysFile: {"host"}, vectors.SignFile: {"signer"}, vectors.VerifyFile: {"host"}, vectors.RealFile: {"host"},
	vectors.MessagesFile: {"guest", "host", "provider"}, vectors.DecodeFile: {"guest", "host", "provider"},
	vectors.ModulesFile: {"host"}, vectors.CallsFile: {"host"}, vectors.SpellFile: {"host"}, vectors.ResolveFile: {"host"},
}

func (c *Coverage) vectors() error {
	files, err := vectors.Files()
	if err != nil {
		return err
	}
	for file, list := range files {
		for _, v := range list {
			c.add(Check{file, v.Name, path.Join("testscripts/vectors", file)}, vectorParties[file], v.Rules)
		}
	}
	return nil
}

// goTest is a test in Go that checks what nothing else can.
type goTest struct {
	rules string // IDs, with spaces between
	dir   string // of the package, from the repository's root
	test  string
	why   string // why no script, case or vector can do it
}

func (c *Coverage) goTest(root fs.FS, t goTest) error {
	files, err := fs.Glob(root, path.Join(t.dir, "*_test.go"))
	if err != nil {
		return err
	}
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(t.test) + `\(`)
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		if function.Match(text) {
			c.add(Check{"Go", path.Base(t.dir) + "." + t.test, file}, []string{"guest", "host", "provider", "signer"}, strings.Fields(t.rules))
			return nil
		}
	}
	c.problem("Go: there is no test %s in %s", t.test, t.dir)
	return nil
}
