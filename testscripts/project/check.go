package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// compile compiles a pattern of a script. As with testscript's own commands, ^ and $
// stand for the ends of lines.
func compile(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return nil, usage{err}
	}
	return re, nil
}

// excerpt shows a text in a message, in quotes unless it is a word.
func excerpt(text string) string {
	const most = 500
	if !utf8.ValidString(text) {
		return fmt.Sprintf("%d bytes that are no text", len(text))
	}
	cut := strings.TrimRight(text, "\n")
	switch {
	case cut != "" && len(cut) <= most && !strings.ContainsFunc(cut, func(c rune) bool { return c <= ' ' || c == '"' }):
		return cut
	case len(cut) <= most:
		return strconv.Quote(cut)
	}
	return strconv.Quote(text[:most]) + fmt.Sprintf("... (%d bytes)", len(text))
}

// compare holds what there is against what a script expects: nothing more than that
// it is there, VALUE, or "~ REGEXP".
func compare(what, got string, want []string, same func(want string) bool) error {
	switch {
	case len(want) == 0:
		return nil
	case len(want) == 1 && same(want[0]):
		return nil
	case len(want) == 1:
		return fmt.Errorf("%s is %s, not %s", what, excerpt(got), excerpt(want[0]))
	case len(want) == 2 && want[0] == "~":
		pattern, err := compile(want[1])
		if err != nil || pattern.MatchString(got) {
			return err
		}
		return fmt.Errorf("%s is %s, which does not match %s", what, excerpt(got), excerpt(want[1]))
	}
	return usagef("after %s, write nothing, a value, or ~ and a regular expression", what)
}

// decodeJSON reads one JSON value, with its numbers as they are.
func decodeJSON(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON value")
	}
	return v, nil
}

// prettyJSON writes a value with the names in its objects sorted, so that the same
// value is the same text.
func prettyJSON(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v) // it was decoded from JSON
	}
	return b.String()
}

// shortJSON is the same on one line, and a text is shown as it is.
func shortJSON(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// sameJSON tells whether a value is the one that a script names: as JSON, or as the
// text itself.
func sameJSON(v any, want string) bool {
	if text, ok := v.(string); ok && text == want {
		return true
	}
	other, err := decodeJSON(want)
	return err == nil && equal(v, other)
}

// equal compares values; numbers by what they are, not by how they are written.
func equal(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		if !ok || x == y {
			return ok
		}
		f, err := x.Float64()
		g, err2 := y.Float64()
		// Beyond that, other numbers have the same float.
		return err == nil && err2 == nil && f == g && f < 1<<53 && f > -1<<53
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for name, value := range x {
			if other, has := y[name]; !has || !equal(value, other) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
