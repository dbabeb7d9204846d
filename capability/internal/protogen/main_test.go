package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpToDate generates again, as capability/generate.go says, and compares.
func TestUpToDate(t *testing.T) {
	const root = "../../.."
	for _, target := range []struct {
		folder, wire, copied string
		names                []string
	}{
		{"capability/payload", "github.com/waxosuit/waxo/capability/payload/wire", "", nil},
		{"guest/go/internal", "github.com/waxosuit/waxo/guest/go/internal/wire", "../../payload/wire",
			[]string{"clock.proto", "extras.proto", "http.proto", "keyvalue.proto", "logging.proto"}},
	} {
		out := t.TempDir()
		if err := run("../../proto", out, target.wire, target.names); err != nil {
			t.Fatal(err)
		}
		if target.copied != "" {
			if err := copyWire(target.copied, out); err != nil {
				t.Fatal(err)
			}
		}
		compared := 0
		err := filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(out, path)
			if err != nil {
				return err
			}
			want, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			committed := filepath.Join(root, target.folder, rel)
			got, err := os.ReadFile(committed)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s is not what the generator writes: run go generate ./capability (%v)", committed, err)
			}
			compared++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if compared < 5 {
			t.Errorf("%s: only %d files were generated", target.folder, compared)
		}
	}
}

func TestRefused(t *testing.T) {
	for body, want := range map[string]string{
		"string a = 16;":                       "field numbers end at 15",
		"repeated int32 a = 1;":                "only strings and messages may repeat",
		"repeated bytes a = 1;":                "only strings and messages may repeat",
		"map<string, int32> a = 1;":            "only map<string, string>",
		"map<int32, string> a = 1;":            "only map<string, string>",
		"double a = 1;":                        "the type double is not known",
		"sint32 a = 1;":                        "the type sint32 is not known",
		"fixed64 a = 1;":                       "the type fixed64 is not known",
		"optional string a = 1;":               "optional",
		"oneof x { bool a = 1; }":              "a oneof holds strings",
		"oneof x { M a = 1; }":                 "a oneof holds strings",
		"message N { string a = 1; } N n = 1;": "within a message",
		"enum E { A = 0; } E e = 1;":           "within a message",
		"string a = ;":                         "syntax error",
	} {
		dir := t.TempDir()
		source := "syntax = \"proto3\";\npackage x;\nmessage M { " + body + " }\n"
		if err := os.WriteFile(filepath.Join(dir, "x.proto"), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		err := run(dir, t.TempDir(), "wire", nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want %s", body, err, want)
		}
	}
	for source, want := range map[string]string{
		"syntax = \"proto2\"; package x;":                      "the syntax proto2 is not known",
		"syntax = \"proto3\"; package x; import \"x2.proto\";": "imports are not known",
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"x.proto": source, "x2.proto": "syntax = \"proto3\"; package y;"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := run(dir, t.TempDir(), "wire", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want %s", source, err, want)
		}
	}
	if err := run(t.TempDir(), t.TempDir(), "wire", nil); err == nil || !strings.Contains(err.Error(), "no .proto files") {
		t.Errorf("an empty folder = %v", err)
	}
}
