package watch

import "strings"

// wildmatch says whether text, a path with slashes, matches a pattern of
// .gitignore: "*" and "?" stop at slashes, "**" between slashes spans folders,
// "[a-z]" is a class, a backslash takes the next character as it is. Like Git it
// looks at bytes; a pattern that makes no sense matches nothing.
// https://git-scm.com/docs/gitignore
func wildmatch(pattern, text string) bool {
	m := &matcher{pattern: pattern, text: text}
	if strings.Count(pattern, "*") > 1 {
		m.failed = make([]bool, (len(pattern)+1)*(len(text)+1))
	}
	return m.match(0, 0)
}

type matcher struct {
	pattern, text string
	failed        []bool // what was tried before, so that many stars cost no more than the product of the lengths
}

// match matches pattern[p:] with text[t:].
func (m *matcher) match(p, t int) bool {
	if m.failed != nil {
		at := p*(len(m.text)+1) + t
		if m.failed[at] {
			return false
		}
		m.failed[at] = true // it stays so unless this very call succeeds, and then all is done
	}
	for p < len(m.pattern) {
		c := m.pattern[p]
		if c == '*' {
			return m.star(p, t)
		}
		if t == len(m.text) {
			return false
		}
		switch c {
		case '?':
			if m.text[t] == '/' {
				return false
			}
			p++
		case '[':
			ok, next := class(m.pattern, p, m.text[t])
			if !ok || m.text[t] == '/' {
				return false
			}
			p = next
		default:
			if c == '\\' {
				p++
				if p == len(m.pattern) {
					return false
				}
			}
			if m.pattern[p] != m.text[t] {
				return false
			}
			p++
		}
		t++
	}
	return t == len(m.text)
}

// star matches from a run of stars on.
func (m *matcher) star(p, t int) bool {
	rest := p
	for rest < len(m.pattern) && m.pattern[rest] == '*' {
		rest++
	}
	spans := rest-p == 2 &&
		(p == 0 || m.pattern[p-1] == '/') &&
		(rest == len(m.pattern) || m.pattern[rest] == '/' || strings.HasPrefix(m.pattern[rest:], `\/`))
	if spans {
		if rest < len(m.pattern) && m.pattern[rest] == '/' && m.match(rest+1, t) {
			return true // "**/" also stands for no folder at all
		}
	}
	for ; ; t++ {
		if m.match(rest, t) {
			return true
		}
		if t == len(m.text) || m.text[t] == '/' && !spans {
			return false
		}
	}
}

// class says whether the class that starts at pattern[p] holds c, and where the
// pattern goes on after it. A class that is not closed holds nothing.
func class(pattern string, p int, c byte) (holds bool, next int) {
	p++
	negated := p < len(pattern) && (pattern[p] == '!' || pattern[p] == '^')
	if negated {
		p++
	}
	for first := true; p < len(pattern) && (first || pattern[p] != ']'); first = false {
		if name, end, ok := namedClass(pattern, p); ok {
			set, known := namedClasses[name]
			if !known {
				return false, 0
			}
			holds = holds || set(c)
			p = end
			continue
		}
		low, after, ok := classByte(pattern, p)
		if !ok {
			return false, 0
		}
		p = after
		high := low
		if p+1 < len(pattern) && pattern[p] == '-' && pattern[p+1] != ']' {
			high, p, ok = classByte(pattern, p+1)
			if !ok {
				return false, 0
			}
		}
		holds = holds || low <= c && c <= high
	}
	if p >= len(pattern) {
		return false, 0
	}
	return holds != negated, p + 1
}

func classByte(pattern string, p int) (c byte, next int, ok bool) {
	if pattern[p] == '\\' {
		p++
	}
	if p >= len(pattern) {
		return 0, 0, false
	}
	return pattern[p], p + 1, true
}

// namedClass reads "[:name:]".
func namedClass(pattern string, p int) (name string, end int, ok bool) {
	if !strings.HasPrefix(pattern[p:], "[:") {
		return "", 0, false
	}
	close := strings.IndexByte(pattern[p+2:], ']')
	if close < 1 || pattern[p+2+close-1] != ':' {
		return "", 0, false
	}
	return pattern[p+2 : p+2+close-1], p + 2 + close + 1, true
}

var namedClasses = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isLetter(c) || isDigit(c) },
	"alpha":  isLetter,
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"digit":  isDigit,
	"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
	"lower":  func(c byte) bool { return c >= 'a' && c <= 'z' },
	"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
	"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !isLetter(c) && !isDigit(c) },
	"space":  func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
	"upper":  func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"xdigit": func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' },
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
