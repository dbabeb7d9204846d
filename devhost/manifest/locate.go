package manifest

import (
	"strconv"
	"strings"
)

// locate tells where each key and each array element of a TOML text stands, by
// paths such as "bind[0].url". The TOML library checks texts but keeps the
// positions to itself. The text must be one that it has accepted: what is not
// TOML is skipped here, not reported.
func locate(text string) map[string]position {
	s := &scanner{text: text, line: 1, where: map[string]position{}, arrays: map[string]int{}}
	prefix := ""
	for s.space(); s.at < len(s.text); s.space() {
		before := s.at
		if s.text[s.at] == '[' {
			prefix = s.header()
		} else {
			s.pair(prefix)
		}
		if s.at == before {
			s.at++
		}
	}
	return s.where
}

type scanner struct {
	text      string
	at        int
	line      int
	lineStart int
	where     map[string]position
	arrays    map[string]int // how many tables each array of tables has so far
}

func (s *scanner) position() position { return position{s.line, s.at - s.lineStart + 1} }

// mark keeps the first place of a path.
func (s *scanner) mark(path string, p position) {
	if _, ok := s.where[path]; !ok {
		s.where[path] = p
	}
}

func (s *scanner) has(prefix string) bool { return strings.HasPrefix(s.text[s.at:], prefix) }

// skip moves n bytes on and counts the lines.
func (s *scanner) skip(n int) {
	for ; n > 0 && s.at < len(s.text); n-- {
		if s.text[s.at] == '\n' {
			s.line++
			s.lineStart = s.at + 1
		}
		s.at++
	}
}

// space skips blanks, line ends and comments.
func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.skip(1)
		case '#':
			s.skipTo("\n")
		default:
			return
		}
	}
}

func (s *scanner) blanks() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

// skipTo moves to the first of the characters in set.
func (s *scanner) skipTo(set string) {
	if n := strings.IndexAny(s.text[s.at:], set); n >= 0 {
		s.skip(n)
	} else {
		s.skip(len(s.text))
	}
}

// header reads "[a.b]" or "[[a.b]]" and returns the path of the table that
// follows.
func (s *scanner) header() string {
	array := s.has("[[")
	s.skip(1)
	if array {
		s.skip(1)
	}
	s.blanks()
	p := s.position()
	path := ""
	parts := s.key()
	for i, part := range parts {
		path = join(path, part)
		n, isArray := s.arrays[path]
		switch {
		case array && i == len(parts)-1:
			s.arrays[path] = n + 1
			s.mark(path, p)
			path = element(path, n)
		case isArray:
			path = element(path, n-1)
		}
		s.mark(path, p)
	}
	s.blanks()
	for s.has("]") {
		s.skip(1)
	}
	return path
}

// pair reads "key = value".
func (s *scanner) pair(prefix string) {
	p := s.position()
	path := prefix
	for _, part := range s.key() {
		path = join(path, part)
		s.mark(path, p)
	}
	s.blanks()
	if s.has("=") {
		s.skip(1)
		s.blanks()
		s.value(path)
	}
}

// key reads a key, dotted or not.
func (s *scanner) key() []string {
	var parts []string
	for s.at < len(s.text) {
		s.blanks()
		start := s.at
		switch {
		case s.has(`"`), s.has("'"):
			s.quoted()
			part := s.text[start+1 : max(start+1, s.at-1)]
			if unquoted, err := strconv.Unquote(`"` + part + `"`); err == nil && s.text[start] == '"' {
				part = unquoted
			}
			parts = append(parts, part)
		default:
			s.skipTo(".=] \t\r\n")
			parts = append(parts, s.text[start:s.at])
		}
		s.blanks()
		if !s.has(".") {
			break
		}
		s.skip(1)
	}
	return parts
}

// value reads a value and marks the elements of arrays and the keys of inline
// tables.
func (s *scanner) value(path string) {
	switch {
	case s.has(`"`), s.has("'"):
		s.quoted()
	case s.has("["):
		s.skip(1)
		n := 0
		for s.space(); s.at < len(s.text) && !s.has("]"); s.space() {
			if s.has(",") {
				s.skip(1)
				continue
			}
			s.mark(element(path, n), s.position())
			s.value(element(path, n))
			n++
		}
		s.skip(1)
	case s.has("{"):
		s.skip(1)
		for s.space(); s.at < len(s.text) && !s.has("}"); s.space() {
			before := s.at
			if !s.has(",") {
				s.pair(path)
			}
			if s.at == before {
				s.skip(1)
			}
		}
		s.skip(1)
	default:
		before := s.at
		s.skipTo(",]}#\r\n")
		if s.at == before {
			s.skip(1)
		}
	}
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.at : s.at+1]
	escapes := quote == `"`
	if triple := strings.Repeat(quote, 3); s.has(triple) {
		quote = triple
	}
	s.skip(len(quote))
	for s.at < len(s.text) && !s.has(quote) {
		if escapes && s.has(`\`) {
			s.skip(1)
		}
		s.skip(1)
	}
	s.skip(len(quote))
	for len(quote) == 3 && s.has(quote[:1]) { // a quote may stand before the closing three
		s.skip(1)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func element(path string, n int) string { return path + "[" + strconv.Itoa(n) + "]" }
