package wat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is an atom, a string or a list.
type node struct {
	position
	kind nodeKind
	text string // of an atom as it stands, of a string without its escapes
	list []node
}

type nodeKind byte

const (
	atom nodeKind = iota
	quoted
	parens
)

// is tells whether a node is a list that begins with that word.
func (n *node) is(word string) bool {
	return n.kind == parens && len(n.list) > 0 && n.list[0].kind == atom && n.list[0].text == word
}

// isName tells whether a node is a name such as $x.
func (n *node) isName() bool { return n.kind == atom && strings.HasPrefix(n.text, "$") }

// isNumber tells whether a node is a number without a sign.
func (n *node) isNumber() bool { return n.kind == atom && n.text[0] >= '0' && n.text[0] <= '9' }

// maxDepth bounds how deep lists may nest, as everything here recurses on them.
const maxDepth = 1000

type reader struct {
	text string
	at   int
	line int
	bol  int // where the line begins
}

// read takes a text apart.
func read(text string) []node {
	r := &reader{text: text, line: 1}
	nodes := r.nodes(0)
	if r.at < len(text) {
		r.here().fail("a ) without its (")
	}
	return nodes
}

func (r *reader) here() position { return position{r.line, r.at - r.bol + 1} }

// nodes reads what stands before the next closing parenthesis.
func (r *reader) nodes(depth int) []node {
	var nodes []node
	for {
		r.space()
		if r.at == len(r.text) || r.text[r.at] == ')' {
			return nodes
		}
		nodes = append(nodes, r.node(depth))
	}
}

func (r *reader) node(depth int) node {
	n := node{position: r.here()}
	switch r.text[r.at] {
	case '(':
		if depth == maxDepth {
			n.fail("lists are nested deeper than %d", maxDepth)
		}
		r.at++
		n.kind, n.list = parens, r.nodes(depth+1)
		if r.at == len(r.text) {
			n.fail("a ( without its )")
		}
		r.at++
		return n
	case '"':
		n.kind, n.text = quoted, r.string()
	default:
		n.text = r.atom()
	}
	if r.at < len(r.text) && !strings.ContainsRune(" \t\r\n();", rune(r.text[r.at])) {
		r.here().fail("a space is missing before %q", r.text[r.at])
	}
	return n
}

// space skips white space and comments.
func (r *reader) space() {
	for r.at < len(r.text) {
		rest := r.text[r.at:]
		switch {
		case rest[0] == '\n':
			r.at++
			r.line, r.bol = r.line+1, r.at
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			r.at++
		case strings.HasPrefix(rest, ";;"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				r.at += end
			} else {
				r.at = len(r.text)
			}
		case strings.HasPrefix(rest, "(;"):
			r.blockComment()
		default:
			return
		}
	}
}

func (r *reader) blockComment() {
	begin := r.here()
	for depth := 0; r.at < len(r.text); {
		switch rest := r.text[r.at:]; {
		case strings.HasPrefix(rest, "(;"):
			depth++
			r.at += 2
		case strings.HasPrefix(rest, ";)"):
			depth--
			r.at += 2
			if depth == 0 {
				return
			}
		default:
			r.at++
			if rest[0] == '\n' {
				r.line, r.bol = r.line+1, r.at
			}
		}
	}
	begin.fail("a comment without its end ;)")
}

// atom reads a word, a name or a number.
func (r *reader) atom() string {
	const others = "!#$%&'*+-./:<=>?@\\^_`|~"
	begin := r.at
	for r.at < len(r.text) {
		c := r.text[r.at]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(others, c) >= 0) {
			break
		}
		r.at++
	}
	if r.at == begin {
		c, _ := utf8.DecodeRuneInString(r.text[begin:])
		r.here().fail("the character %q has no place here", c)
	}
	return r.text[begin:r.at]
}

// string reads a string with its quotes and takes its escapes away.
func (r *reader) string() string {
	begin := r.here()
	var b strings.Builder
	for r.at++; r.at < len(r.text); {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return b.String()
		case c == '\\':
			r.escape(&b)
		case c < 0x20 || c == 0x7f:
			r.here().fail("a control character in a string is written as an escape, such as \\0a")
		default:
			b.WriteByte(c)
			r.at++
		}
	}
	begin.fail("a string without its end")
	return ""
}

func (r *reader) escape(b *strings.Builder) {
	rest := r.text[r.at+1:]
	if rest == "" {
		r.here().fail("a string without its end")
	}
	if i := strings.IndexByte(`tnr"'\`, rest[0]); i >= 0 {
		b.WriteByte("\t\n\r\"'\\"[i])
		r.at += 2
		return
	}
	if strings.HasPrefix(rest, "u{") {
		if end := strings.IndexByte(rest, '}'); end > 0 {
			v, err := strconv.ParseUint(strings.ReplaceAll(rest[2:end], "_", ""), 16, 32)
			if err == nil && utf8.ValidRune(rune(v)) {
				b.WriteRune(rune(v))
				r.at += 1 + end + 1
				return
			}
		}
	}
	if len(rest) >= 2 {
		if v, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
			b.WriteByte(byte(v))
			r.at += 3
			return
		}
	}
	r.here().fail("unknown escape in a string: there are \\t \\n \\r \\\" \\' \\\\ \\u{...} and two hexadecimal digits")
}
