package waxotest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// manifestCapabilities returns what the next waxo.toml, from dir upwards, asks for,
// and its path. Without a manifest nothing is granted.
func manifestCapabilities(dir string) (capabilities []string, source string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, "", err
	}
	for {
		path := filepath.Join(dir, "waxo.toml")
		text, err := os.ReadFile(path)
		if err == nil {
			capabilities, err = parseCapabilities(string(text))
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			return capabilities, path, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, "the test, which has no waxo.toml above it and calls no Grant,", nil
		}
		dir = parent
	}
}

// parseCapabilities finds the top-level array "capabilities" in a manifest. waxo
// itself reads the whole of it; here the strings of the one array are enough.
func parseCapabilities(manifest string) ([]string, error) {
	array, found := "", false
	for line := range strings.Lines(manifest) {
		line = withoutComment(strings.TrimSpace(line))
		switch key, value, _ := strings.Cut(line, "="); {
		case found:
			array += line
		case strings.HasPrefix(line, "["):
			return nil, nil // the top level is over
		case strings.Trim(strings.TrimSpace(key), `"'`) == "capabilities":
			array, found = strings.TrimSpace(value), true
		}
		if found && strings.HasSuffix(array, "]") {
			return parseArray(array)
		}
	}
	if found {
		return nil, errors.New("the array capabilities does not end")
	}
	return nil, nil
}

// withoutComment cuts a comment off; capabilities hold no number sign.
func withoutComment(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.TrimSpace(line)
}

func parseArray(array string) ([]string, error) {
	inner, ok := strings.CutPrefix(strings.TrimSuffix(array, "]"), "[")
	if !ok {
		return nil, errors.New("capabilities is not an array")
	}
	var values []string
	for part := range strings.SplitSeq(inner, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		value, err := strconv.Unquote(strings.ReplaceAll(part, "'", `"`))
		if err != nil {
			return nil, fmt.Errorf("capabilities holds %s, which is not a string", part)
		}
		values = append(values, value)
	}
	return values, nil
}
