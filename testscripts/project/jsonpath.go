package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// step is one step of a path: .name, ."a name", [0], [-1], or .# for a length.
var step = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\.([A-Za-z_$][\w$-]*)|\.?\[?("(?:[^"\\]|\\.)*")\]?|\.?\[(-?\d+)\]|\.(#))`)
})

// find follows a path through a JSON value, such as ".items[0].name". "." is the
// value itself.
func find(v any, path string) (any, error) {
	at := ""
	for rest := path; rest != "" && path != "."; {
		m := step().FindStringSubmatch(rest)
		if m == nil {
			return nil, usagef("%q is no path such as .items[0].name: see %q", path, rest)
		}
		rest = rest[len(m[0]):]
		var err error
		if v, err = take(v, at, m); err != nil {
			return nil, err
		}
		at += m[0]
	}
	return v, nil
}

// take takes one step().
func take(v any, at string, m []string) (any, error) {
	if at == "" {
		at = "."
	}
	name := m[1]
	if m[2] != "" {
		if err := json.Unmarshal([]byte(m[2]), &name); err != nil {
			return nil, usage{err}
		}
	}
	switch {
	case m[3] != "":
		list, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("%s is %s, not a list", at, kind(v))
		}
		i, err := strconv.Atoi(m[3])
		if i < 0 {
			i += len(list)
		}
		if err != nil || i < 0 || i >= len(list) {
			return nil, fmt.Errorf("%s has %d elements, no %s", at, len(list), m[3])
		}
		return list[i], nil
	case m[4] != "":
		switch x := v.(type) {
		case []any:
			return json.Number(strconv.Itoa(len(x))), nil
		case map[string]any:
			return json.Number(strconv.Itoa(len(x))), nil
		}
		return nil, fmt.Errorf("%s is %s, which has no length", at, kind(v))
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is %s, not an object", at, kind(v))
	}
	value, ok := object[name]
	if !ok {
		return nil, fmt.Errorf("%s has no %s; it has %s", at, name, strings.Join(slices.Sorted(maps.Keys(object)), ", "))
	}
	return value, nil
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	}
	return "an object"
}
