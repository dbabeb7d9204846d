package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/bmatcuk/doublestar/v4"

	"github.com/waxosuit/waxo/capability"
)

// Parse reads a manifest from data; filename is for messages, and for Path. Its
// error joins (errors.Join) an *Error for each mistake.
func Parse(data []byte, filename string) (*Manifest, error) {
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, errors.Join(syntaxError(data, filename, err))
	}
	r := &reader{file: filename, where: locate(string(data))}
	m := readManifest(&table{reader: r, values: values})
	m.Path = filename
	if err := r.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// syntaxError says where the text is no TOML. It counts lines and columns itself,
// from the offset: the library's are off by a line at line ends.
func syntaxError(data []byte, filename string, err error) *Error {
	e := &Error{File: filename, Line: 1, Column: 1, Message: err.Error()}
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		before := data[:max(0, min(syntax.Position.Start, len(data)))]
		e.Line += bytes.Count(before, []byte("\n"))
		e.Column = len(before) - bytes.LastIndexByte(before, '\n')
		e.Key = syntax.LastKey
		e.Message = strings.TrimSuffix(strings.ReplaceAll(syntax.Message, "\n", `\n`), ".")
	}
	return e
}

func readManifest(t *table) *Manifest {
	m := &Manifest{
		Name:         t.text("name", ""),
		Version:      t.text("version", DefaultVersion),
		Language:     t.text("language", ""),
		Capabilities: t.texts("capabilities"),
	}
	switch name := t.values["name"].(type) {
	case nil:
		t.fail("", `name is missing: add name = "..."`)
	case string:
		if err := CheckName(name); err != nil {
			t.fail("name", "%v", err)
		}
	}
	if err := checkVersion(m.Version); err != nil {
		t.fail("version", "%v", err)
	}
	checkLanguage(t, m.Language)
	checkCapabilities(t, m.Capabilities)
	m.Build = readBuild(t.table("build"), m.Language)
	m.Dev = readDev(t.table("dev"))
	m.Binds = readBinds(t.tables("bind"), m.Capabilities)
	m.Limits = readLimits(t.table("limits"))
	checkFaults(t, m)
	t.done()
	return m
}

func checkLanguage(t *table, language string) {
	value, given := t.values["language"]
	_, isText := value.(string)
	switch {
	case given && !isText: // reported already
	case !given:
		t.fail("", `language is missing: add language = %q or language = %q`, LanguageGo, LanguageCustom)
	case language == LanguageGo || language == LanguageCustom:
	case language == "rust" || language == "assemblyscript":
		t.fail("language", "this version builds %q and %q; for %s take %q, with the compiler as [build] command and its module as output",
			LanguageGo, LanguageCustom, language, LanguageCustom)
	default:
		t.fail("language", "unknown language %q%s", language, didYouMean(language, []string{LanguageGo, LanguageCustom}))
	}
}

// knownCapabilities are those of the namespaces that are not vendors'.
var knownCapabilities = []string{
	capability.HTTPServer, capability.HTTPClient, capability.KeyValue, capability.Messaging, capability.Blobstore,
	capability.Logging, capability.Extras, capability.EventStreams, capability.Clock,
}

func checkCapabilities(t *table, list []string) {
	for i, c := range list {
		if c == "" && t.isNot("capabilities", i) {
			continue
		}
		if err := CheckCapability(c); err != nil {
			t.fail(element("capabilities", i), "%v", err)
		} else if slices.Index(list, c) < i {
			t.fail(element("capabilities", i), "the capability %q is named twice", c)
		}
	}
}

// isNot says whether the element of an array is no string, which was reported.
func (t *table) isNot(key string, i int) bool {
	list, _ := t.values[key].([]any)
	_, ok := list[i].(string)
	return !ok
}

// CheckCapability says what is wrong with the name of a capability: it must be one of
// the standard, or a vendor's.
func CheckCapability(c string) error {
	namespace, name, ok := strings.Cut(c, ":")
	switch {
	case slices.Contains(knownCapabilities, c):
		return nil
	case c == capability.Core:
		return fmt.Errorf("%q needs no claim: leave it out", c)
	case !ok:
		for _, known := range knownCapabilities {
			if _, bare, _ := strings.Cut(known, ":"); bare == c {
				return fmt.Errorf("the capability %q has no namespace: did you mean %q?", c, known)
			}
		}
		return fmt.Errorf("unknown capability %q%s", c, didYouMean(c, knownCapabilities))
	case namespace == "wascap" || namespace == "waxo":
		return fmt.Errorf("unknown capability %q%s", c, didYouMean(c, knownCapabilities))
	case !isWord(namespace) || !isWord(name):
		return fmt.Errorf("the capability %q is not of the form vendor:name, of letters, digits, '_', '-' and '.'", c)
	}
	return nil
}

func readBuild(t *table, language string) Build {
	b := Build{Command: t.texts("command"), Output: t.text("output", ""), Watch: t.texts("watch"), Optimize: readOptimize(t)}
	for i, pattern := range b.Watch {
		if pattern == "" && t.isNot("watch", i) {
			continue
		}
		if err := checkPattern(pattern); err != nil {
			t.fail(element("build.watch", i), "%v", err)
		}
	}
	_, hasOutput := t.values["output"]
	switch {
	case language == LanguageGo && len(b.Command) > 0:
		t.fail("build.command", "build.command is for language = %q; for %q the Go toolchain runs", LanguageCustom, LanguageGo)
	case language == LanguageGo && b.Output != "":
		t.fail("build.output", "build.output is for language = %q; for %q it is not needed", LanguageCustom, LanguageGo)
	case language == LanguageCustom && len(b.Command) == 0:
		t.fail("build.command", `language = %q needs [build] command = ["program", "argument", ...]`, LanguageCustom)
	case language == LanguageCustom && b.Command[0] == "" && !t.isNot("command", 0):
		t.fail("build.command[0]", "build.command names no program")
	}
	switch {
	case language == LanguageCustom && !hasOutput:
		t.fail("build.output", `language = %q needs [build] output = "path/of/the.wasm" that the command leaves`, LanguageCustom)
	case b.Output != "" && checkInside(b.Output) != nil:
		t.fail("build.output", "build.output: %v", checkInside(b.Output))
	case hasOutput && language == LanguageCustom && b.Output == "":
		t.fail("build.output", "build.output is empty")
	}
	t.done()
	return b
}

func readOptimize(t *table) []string {
	names := t.texts("optimize")
	for i, name := range names {
		if name == "" && t.isNot("optimize", i) {
			continue
		}
		if err := CheckOptimization(name); err != nil {
			t.fail(element("build.optimize", i), "%v", err)
		} else if slices.Index(names, name) < i {
			t.fail(element("build.optimize", i), "%q is named twice", name)
		}
	}
	return names
}

// CheckOptimization says what is wrong with a name of Build.Optimize.
func CheckOptimization(name string) error {
	if !slices.Contains(Optimizations(), name) {
		return fmt.Errorf("unknown optimization %q%s", name, didYouMean(name, Optimizations()))
	}
	return nil
}

func checkPattern(pattern string) error {
	if !doublestar.ValidatePattern(pattern) || pattern == "" {
		return fmt.Errorf("%q is not a pattern such as \"**/*.go\"", pattern)
	}
	return checkInside(pattern)
}

// checkInside refuses what is no plain path below the project.
func checkInside(p string) error {
	if strings.Contains(p, `\`) && !strings.ContainsAny(p, "*?[{") {
		return fmt.Errorf("%q: write paths with \"/\"", p)
	}
	if !filepath.IsLocal(p) || path.Clean(p) != p || p == "." {
		return fmt.Errorf("%q must be a plain path below the manifest, without \"./\" and \"..\"", p)
	}
	return nil
}

func readDev(t *table) Dev {
	d := Dev{Port: t.integer("port", DefaultPort, maxPort), Faults: readFaults(t.tables("fault"))}
	t.done()
	return d
}

func readLimits(t *table) Limits {
	l := Limits{
		Memory:       limit(t, "memory", DefaultMemory, parseMemory),
		CallTimeout:  limit(t, "call_timeout", DefaultCallTimeout, parseTimeout),
		Instances:    limit(t, "instances", DefaultInstances, parseInt(1, maxInstance)),
		TotalMemory:  limit(t, "total_memory", DefaultTotalMemory, parseTotal),
		Queue:        t.integer("queue", DefaultQueue, maxQueue),
		RequestBody:  limit(t, "request_body", DefaultRequestBody, parseBody),
		ResponseBody: limit(t, "response_body", DefaultResponseBody, parseBody),
	}
	t.done()
	return l
}
