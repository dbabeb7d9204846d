package watch

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ignoreName is the file whose rules are honoured, in any folder.
const ignoreName = ".gitignore"

// rule is one line of a .gitignore.
type rule struct {
	glob     string
	negated  bool // "!": what an earlier rule ignored counts again
	dirOnly  bool // "x/"
	anchored bool // it holds a slash: it is about the path, not about the name
}

// ruleSet is the rules of one folder, on top of those of the folders around it.
// Its paths are relative to the outermost folder that has rules, with slashes.
type ruleSet struct {
	outer *ruleSet
	base  string // the folder; "" is the outermost
	rules []rule
}

// ignores says whether the rules name path. What lies in an ignored folder is
// ignored too, but that is for the caller, who does not enter it.
func (s *ruleSet) ignores(p string, isDir bool) bool {
	for ; s != nil; s = s.outer {
		below := p
		if s.base != "" {
			below = strings.TrimPrefix(p, s.base+"/")
		}
		for i := len(s.rules) - 1; i >= 0; i-- {
			r := &s.rules[i]
			if r.dirOnly && !isDir {
				continue
			}
			text := below
			if !r.anchored {
				text = path.Base(below)
			}
			if wildmatch(r.glob, text) {
				return !r.negated
			}
		}
	}
	return false
}

// parseRules reads a .gitignore.
func parseRules(text string) []rule {
	var rules []rule
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimSuffix(line, "\n")
		line = trimBlanks(strings.TrimSuffix(line, "\r"))
		if strings.HasPrefix(line, "#") {
			continue
		}
		var r rule
		line, r.negated = strings.CutPrefix(line, "!")
		line, r.dirOnly = strings.CutSuffix(line, "/")
		r.anchored = strings.Contains(line, "/")
		r.glob = strings.TrimPrefix(line, "/")
		if r.glob != "" {
			rules = append(rules, r)
		}
	}
	return rules
}

// trimBlanks removes blanks from the end, except those behind a backslash.
func trimBlanks(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// readRules adds the rules of a folder to those around it. base is the folder as
// the rules see it.
func readRules(outer *ruleSet, dir, base string) *ruleSet {
	text, err := os.ReadFile(filepath.Join(dir, ignoreName))
	if err != nil {
		return outer
	}
	return &ruleSet{outer: outer, base: base, rules: parseRules(string(text))}
}

// outerRules reads the rules of the folders around root, up to that of the
// repository, and returns root's path as these rules see it. A root that they
// ignore is watched all the same: then they do not apply. That is the case for a
// project that is scaffolded in an ignored corner of a larger one.
func outerRules(root string) (rules *ruleSet, prefix string) {
	top := root
	for !exists(filepath.Join(top, ".git")) {
		above := filepath.Dir(top)
		if above == top {
			return nil, ""
		}
		top = above
	}
	below, err := filepath.Rel(top, root)
	if err != nil || below == "." {
		return nil, ""
	}
	base, dir := "", top
	for part := range strings.SplitSeq(filepath.ToSlash(below), "/") {
		rules = readRules(rules, dir, base)
		base, dir = path.Join(base, part), filepath.Join(dir, part)
		if rules.ignores(base, true) {
			return nil, ""
		}
	}
	return rules, base
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// privateDirs, of version control and our own, are never entered.
var privateDirs = map[string]bool{".git": true, ".hg": true, ".jj": true, ".svn": true, ".waxo": true}

// isTemporary says whether an editor or a desktop leaves files of this name for
// its own use: backups, swap and lock files, the files that are renamed to the
// real one.
func isTemporary(name string) bool {
	hidden := strings.HasPrefix(name, ".")
	ext := path.Ext(name)
	switch {
	case strings.HasSuffix(name, "~"): // backups of Vim, Emacs, gedit
	case hidden && len(ext) == 4 && strings.HasPrefix(ext, ".sw"): // Vim's swap files
	case name == "4913": // Vim's test whether it may write here
	case strings.HasPrefix(name, ".#"), strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#"): // Emacs
	case strings.HasSuffix(name, "___jb_tmp___"), strings.HasSuffix(name, "___jb_old___"): // JetBrains
	case strings.HasPrefix(name, ".goutputstream-"): // GNOME
	case strings.HasSuffix(name, ".kate-swp"):
	case name == ".DS_Store", name == "Thumbs.db":
	default:
		return false
	}
	return true
}
