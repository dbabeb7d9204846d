package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// reader gathers the mistakes of a manifest.
type reader struct {
	file  string
	where map[string]position
	errs  []*Error
}

// fail notes a mistake at the value that key names, or at the nearest table
// around it that stands in the file.
func (r *reader) fail(key, format string, args ...any) {
	p := r.position(key)
	r.errs = append(r.errs, &Error{File: r.file, Line: p.line, Column: p.column, Key: key, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) position(key string) position {
	for path := key; path != ""; path = path[:max(strings.LastIndexAny(path, ".["), 0)] {
		if p, ok := r.where[path]; ok {
			return p
		}
	}
	return position{1, 1}
}

// err joins the mistakes in the order of the file.
func (r *reader) err() error {
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return joinErrors(r.errs)
}

func joinErrors(list []*Error) error {
	errs := make([]error, len(list))
	for i, e := range list {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// table is one table of the file. Each key that is asked for counts as known.
type table struct {
	*reader
	path   string
	values map[string]any
	known  []string
}

func (t *table) take(key string) (value any, path string, ok bool) {
	t.known = append(t.known, key)
	value, ok = t.values[key]
	return value, join(t.path, key), ok
}

// done reports the keys that nobody asked for.
func (t *table) done() {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.known, key) {
			continue
		}
		what := fmt.Sprintf("unknown key %q", key)
		if t.path != "" {
			what += fmt.Sprintf(" in [%s]", t.path)
		}
		t.fail(join(t.path, key), "%s%s", what, didYouMean(key, t.known))
	}
}

// want reports a value of the wrong type.
func (t *table) want(path, kind string, got any) {
	t.fail(path, "%s must be %s, not %s", path, kind, typeName(got))
}

func (t *table) text(key, fallback string) string {
	v, path, ok := t.take(key)
	if !ok {
		return fallback
	}
	s, ok := v.(string)
	if !ok {
		t.want(path, "a string", v)
		return fallback
	}
	return s
}

// texts reads an array of strings; the elements keep their indices, so that what
// is said about them later finds its place.
func (t *table) texts(key string) []string {
	v, path, ok := t.take(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.want(path, "an array of strings", v)
		return nil
	}
	texts := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			t.want(element(path, i), "a string", v)
			s = ""
		}
		texts[i] = s
	}
	return texts
}

func (t *table) stringMap(key string) map[string]string {
	sub := t.table(key)
	texts := make(map[string]string, len(sub.values))
	for name := range sub.values {
		texts[name] = sub.text(name, "")
	}
	if len(texts) == 0 {
		return nil
	}
	return texts
}

// table reads a table; where there is none, or something else, it is empty.
func (t *table) table(key string) *table {
	v, path, ok := t.take(key)
	values, isTable := v.(map[string]any)
	if ok && !isTable {
		t.want(path, "a table", v)
	}
	return &table{reader: t.reader, path: path, values: values}
}

func (t *table) tables(key string) []*table {
	v, path, ok := t.take(key)
	if !ok {
		return nil
	}
	var list []any
	switch v := v.(type) {
	case []map[string]any:
		for _, m := range v {
			list = append(list, m)
		}
	case []any:
		list = v
	default:
		t.fail(path, "%s must be an array of tables, not %s: write [[%s]] above each", path, typeName(v), path)
	}
	var tables []*table
	for i, v := range list {
		if m, ok := v.(map[string]any); ok {
			tables = append(tables, &table{reader: t.reader, path: element(path, i), values: m})
		} else {
			t.want(element(path, i), "a table", v)
		}
	}
	return tables
}

func (t *table) integer(key string, fallback, most int) int {
	v, path, ok := t.take(key)
	if !ok {
		return fallback
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		t.want(path, "an integer", v)
	case n < 0 || n > int64(most):
		t.fail(path, "%s: %d is out of range: 0 to %d are possible", path, n, most)
	default:
		return int(n)
	}
	return fallback
}

// limit reads a value that has a textual form of its own, such as "256MiB". What
// an integer means there, if anything, parse gets as its digits.
func limit[T any](t *table, key string, fallback T, parse func(string) (T, error)) T {
	v, path, ok := t.take(key)
	if !ok {
		return fallback
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case int64:
		s = fmt.Sprint(v)
	default:
		t.want(path, "a string or an integer", v)
		return fallback
	}
	value, err := parse(s)
	if err != nil {
		t.fail(path, "%s: %v", path, err)
		return fallback
	}
	return value
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case []any, []map[string]any:
		return "an array"
	}
	return "a table"
}

// didYouMean returns ": did you mean ...?" with the nearest of the candidates, or
// the list of them where none is near.
func didYouMean(got string, candidates []string) string {
	if near := nearest(got, candidates); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return fmt.Sprintf("; known are %s", strings.Join(slices.Sorted(slices.Values(candidates)), ", "))
}

// nearest returns the candidate that got was most likely meant to be, or "".
func nearest(got string, candidates []string) string {
	best, bestDistance := "", len(got)/3+2
	for _, c := range candidates {
		lower := strings.ToLower(got)
		d := distance(lower, c)
		if len(got) > 2 && (strings.HasPrefix(c, lower) || strings.HasPrefix(lower, c)) {
			d = min(d, 1)
		}
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
