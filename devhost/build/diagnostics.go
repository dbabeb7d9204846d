package build

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Diagnostic is one place that the toolchain complains about.
type Diagnostic struct {
	File    string // relative to the project's folder where it lies within, with slashes
	Line    int    // counted from 1
	Column  int    // counted from 1; 0: not known
	Message string // may have several lines
}

// String returns "file:line:column: message", the form that terminals and editors
// make links of.
func (d Diagnostic) String() string {
	if d.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Column, d.Message)
}

// The ways in which compilers name places: Go, C and most others in front of the
// message; Rust behind it, on a line of its own; TypeScript and AssemblyScript with
// parentheses, in front or behind.
var (
	placeFirst = pattern(`^(?:vet: )?((?:[A-Za-z]:)?[^:]+):(\d+)(?::(\d+))?: (.*)$`)
	placeArrow = pattern(`^\s*--> ((?:[A-Za-z]:)?[^:]+):(\d+):(\d+)$`)
	placeParen = pattern(`^(?:\s*(?:│\s*)?└─ in )?([^()]+)\((\d+),(\d+)\)(?:: (.*))?$`)
)

// pattern is an expression that is compiled when it is first used: a start of the
// host has no need of it.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// diagnostics finds the places that a toolchain's output names. A place counts
// only if there is such a file, so times and addresses are not taken for places.
func diagnostics(output, dir string) []Diagnostic {
	var found []Diagnostic
	title := ""
	indented := false // the lines that belong to the last one found
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		match := placeFirst().FindStringSubmatch(line)
		if match == nil {
			match = placeParen().FindStringSubmatch(line)
		}
		if match == nil {
			if match = placeArrow().FindStringSubmatch(line); match != nil {
				match = append(match, "")
			}
		}
		if match != nil {
			if d, ok := diagnostic(match, title, dir); ok {
				found = append(found, d)
				indented = true
				continue
			}
		}
		switch {
		case strings.HasPrefix(line, "\t") && indented:
			found[len(found)-1].Message += "\n" + line
		default:
			indented = false
			if isTitle(line) {
				title = line
			}
		}
	}
	return found
}

// isTitle says whether a line can be the message of a place that follows.
func isTitle(line string) bool {
	for _, prefix := range []string{"error", "warning", "ERROR", "WARNING"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

func diagnostic(match []string, title, dir string) (Diagnostic, bool) {
	path := filepath.FromSlash(match[1])
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	line, err := strconv.Atoi(match[2])
	if info, statErr := os.Stat(path); err != nil || line < 1 || statErr != nil || info.IsDir() {
		return Diagnostic{}, false
	}
	column, _ := strconv.Atoi(match[3]) // "" where it is not known
	d := Diagnostic{File: filepath.ToSlash(path), Line: line, Column: column, Message: match[4]}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		d.File = filepath.ToSlash(rel)
	}
	if d.Message == "" {
		d.Message = title
	}
	return d, true
}
