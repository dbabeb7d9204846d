package script

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Script is one script.
type Script struct {
	Name    string   // the file's name without its ending
	Title   string   // the header's first lines: what must hold
	Rules   []string // IDs of the rules that it checks
	Section string   // of docs/protocol.md, in which the first of them stands
	Needs   []string // what the suite must have to run it: words that the suite knows
	Data    []byte   // the whole script
	Path    string   // its file on disk, if it has one: goldens are rewritten there
}

// Parse reads a script's header: the comment at its top, whose first lines say
// what must hold, and in which
//
//	# Rule: CALL-31, CALL-32
//	# Section: 2.4 Unknown operations
//	# Needs: wascap:keyvalue
//
// may follow. Lines after those are for readers.
func Parse(name string, script []byte) (*Script, error) {
	s := &Script{Name: strings.TrimSuffix(name, path.Ext(name)), Data: script}
	fields := map[string]*[]string{"Rule": &s.Rules, "Rules": &s.Rules, "Needs": &s.Needs}
	titled := false
	for line := range bytes.Lines(txtar.Parse(script).Comment) {
		text, ok := strings.CutPrefix(strings.TrimRight(string(line), "\r\n"), "#")
		if !ok {
			break
		}
		text = strings.TrimSpace(text)
		key, value, _ := strings.Cut(text, ": ")
		switch {
		case fields[key] != nil:
			titled = true
			for word := range strings.SplitSeq(value, ",") {
				*fields[key] = append(*fields[key], strings.TrimSpace(word))
			}
		case key == "Section":
			titled = true
			s.Section = strings.TrimSpace(value)
		case text == "":
			titled = true
		case !titled:
			s.Title = strings.TrimSpace(s.Title + " " + text)
		}
	}
	if s.Name == "" {
		return nil, fmt.Errorf("script: %q is no name of a script", name)
	}
	return s, nil
}

// ReadFS reads the scripts of a folder, those that end in .txtar.
func ReadFS(fsys fs.FS, dir string) ([]*Script, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var scripts []*Script
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(path.Base(name), data)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}
