package waxotest

import (
	"slices"
	"testing"
)

func TestParseCapabilities(t *testing.T) {
	for manifest, want := range map[string][]string{
		"":                                        nil,
		"capabilities = []":                       nil,
		`capabilities = ["a:b", 'c:d']`:           {"a:b", "c:d"},
		"\"capabilities\"=[\n\"a:b\"\n,\n]":       {"a:b"},
		"# capabilities = [\"a:b\"]\n":            nil,
		"name = \"x\"\n[x]\ncapabilities=['a:b']": nil,
		"capabilities = [\r\n 'a:b', # why\r\n]":  {"a:b"},
	} {
		if got, err := parseCapabilities(manifest); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q = %v, %v, want %v", manifest, got, err, want)
		}
	}
	for _, manifest := range []string{"capabilities = [", "capabilities = ['a:b'", "capabilities = [a]", "capabilities = 'a']", "capabilities = ['a]"} {
		if got, err := parseCapabilities(manifest); err == nil {
			t.Errorf("%q = %v", manifest, got)
		}
	}
}
