package wascap

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// This is a reader for RFC 8259 that is stricter than encoding/json, because
// two readers of one token must never see two different claims: no key may
// repeat, keys are compared exactly, and text is valid UTF-8 and whole
// surrogate pairs; nothing is replaced by U+FFFD.

// maxDepth bounds the nesting of arrays and objects, and so the stack.
const maxDepth = 16

type jsonKind string

const (
	jsonNull   jsonKind = "null"
	jsonBool   jsonKind = "a boolean"
	jsonNumber jsonKind = "a number"
	jsonString jsonKind = "a string"
	jsonArray  jsonKind = "an array"
	jsonObject jsonKind = "an object"
)

type jsonValue struct {
	kind    jsonKind
	text    string // of a string: decoded; of a number: as it was written
	truth   bool
	items   []jsonValue
	members []jsonMember
}

type jsonMember struct {
	key   string
	value jsonValue
}

// parseObject reads a text that must be one JSON object and nothing else.
func parseObject(text []byte) ([]jsonMember, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not valid UTF-8")
	}
	p := jsonParser{text: text}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("%w at byte %d", err, p.at)
	}
	if p.space(); p.at < len(text) {
		return nil, fmt.Errorf("something follows the JSON at byte %d", p.at)
	}
	if v.kind != jsonObject {
		return nil, fmt.Errorf("it is %s instead of an object", v.kind)
	}
	return v.members, nil
}

type jsonParser struct {
	text []byte
	at   int
}

var errNoJSON = errors.New("it is not JSON")

// peek gives the next byte, and 0, which no JSON holds, at the end.
func (p *jsonParser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// take goes past the next byte if it is c.
func (p *jsonParser) take(c byte) bool {
	if p.peek() != c || c == 0 {
		return false
	}
	p.at++
	return true
}

func (p *jsonParser) space() {
	for c := p.peek(); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = p.peek() {
		p.at++
	}
}

func (p *jsonParser) value(depth int) (jsonValue, error) {
	if depth > maxDepth {
		return jsonValue{}, errors.New("it is nested too deeply")
	}
	p.space()
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.string()
		return jsonValue{kind: jsonString, text: s}, err
	case c == '-' || isDigit(c):
		return p.number()
	}
	for _, w := range []struct {
		word  string
		value jsonValue
	}{
		{"true", jsonValue{kind: jsonBool, truth: true}},
		{"false", jsonValue{kind: jsonBool}},
		{"null", jsonValue{kind: jsonNull}},
	} {
		if end := p.at + len(w.word); end <= len(p.text) && string(p.text[p.at:end]) == w.word {
			p.at = end
			return w.value, nil
		}
	}
	return jsonValue{}, errNoJSON
}

func (p *jsonParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	p.take('{')
	if p.space(); p.take('}') {
		return v, nil
	}
	seen := map[string]bool{}
	for {
		p.space()
		if p.peek() != '"' {
			return v, errNoJSON
		}
		key, err := p.string()
		if err != nil {
			return v, err
		}
		if seen[key] {
			return v, fmt.Errorf("the key %q stands twice in one object", key)
		}
		seen[key] = true
		if p.space(); !p.take(':') {
			return v, errNoJSON
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, jsonMember{key, item})
		if p.space(); p.take('}') {
			return v, nil
		}
		if !p.take(',') {
			return v, errNoJSON
		}
	}
}

func (p *jsonParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	p.take('[')
	if p.space(); p.take(']') {
		return v, nil
	}
	for {
		item, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.items = append(v.items, item)
		if p.space(); p.take(']') {
			return v, nil
		}
		if !p.take(',') {
			return v, errNoJSON
		}
	}
}

func (p *jsonParser) number() (jsonValue, error) {
	start := p.at
	p.take('-')
	if !p.take('0') && !p.digits() {
		return jsonValue{}, errNoJSON
	}
	if p.take('.') && !p.digits() {
		return jsonValue{}, errNoJSON
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return jsonValue{}, errNoJSON
		}
	}
	return jsonValue{kind: jsonNumber, text: string(p.text[start:p.at])}, nil
}

// digits goes past one digit or more.
func (p *jsonParser) digits() bool {
	start := p.at
	for isDigit(p.peek()) {
		p.at++
	}
	return p.at > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (p *jsonParser) string() (string, error) {
	p.take('"')
	var out []byte
	for {
		c := p.peek()
		switch {
		case c < ' ': // the end of the text, too
			return "", errNoJSON
		case c == '"':
			p.at++
			return string(out), nil
		case c == '\\':
			p.at++
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
			p.at++
		}
	}
}

// escape reads what follows a backslash.
func (p *jsonParser) escape() (rune, error) {
	const names, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := p.peek()
	for i := range names {
		if c == names[i] {
			p.at++
			return rune(meanings[i]), nil
		}
	}
	if c != 'u' {
		return 0, errNoJSON
	}
	r, err := p.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !p.take('\\') {
		return 0, errSurrogate
	}
	low, err := p.unit()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, errSurrogate
	}
	return r, nil
}

var errSurrogate = errors.New("half of a surrogate pair stands alone")

// unit reads the u and the four hexadecimal digits of an escape.
func (p *jsonParser) unit() (rune, error) {
	if len(p.text)-p.at < 5 || p.peek() != 'u' {
		return 0, errNoJSON
	}
	digits := string(p.text[p.at+1 : p.at+5])
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return 0, errNoJSON
	}
	p.at += 5
	return rune(n), nil
}

// appendJSONString appends s, which is valid UTF-8, as a JSON string in its
// shortest form.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
