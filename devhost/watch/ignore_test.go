package watch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needGit skips a test where Git is missing; in CI that is a failure.
func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is needed to compare with")
		}
		t.Skip("git is needed to compare with, and is not installed")
	}
}

func TestWildmatch(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a*", "abc", true}, {"*", "a/b", false}, {"a?c", "a/c", false},
		{"**/a", "a", true}, {"**/a", "x/y/a", true}, {"**/a", "xa", false}, {"a/**", "a/b/c", true}, {"a/**", "a", false},
		{"a/**/b", "a/b", true}, {"a/**/b", "a/x/y/b", true}, {"a/**/b", "a/xb", false}, {"a**b", "a/b", false}, {"a**b", "axxb", true},
		{"***", "a/b", false}, {"[a-c]x", "bx", true}, {"[!a-c]x", "bx", false}, {"[^a]", "/", false}, {"[]]", "]", true},
		{"[a", "a", false}, {`\*`, "*", true}, {`\*`, "a", false}, {`a\`, "a", false}, {`[\]]`, "]", true},
		{"[[:digit:]]", "7", true}, {"[[:digit:]]", "x", false}, {"[[:nonsense:]]", "x", false}, {"{a,b}", "a", false}, {"{a,b}", "{a,b}", true},
	}
	for _, test := range tests {
		if got := wildmatch(test.pattern, test.text); got != test.want {
			t.Errorf("wildmatch(%q, %q) = %v", test.pattern, test.text, got)
		}
	}
}

// TestWildmatchManyStars ends soon, or not at all.
func TestWildmatchManyStars(t *testing.T) {
	if wildmatch(strings.Repeat("*a", 60)+"b", strings.Repeat("a", 200)) {
		t.Error("it matched")
	}
}

// TestIgnoreAsGit compares with Git itself: rules of every form, in nested
// folders, and rules made up at random.
func TestIgnoreAsGit(t *testing.T) {
	needGit(t)
	fixed := []map[string]string{
		{"": "*.o\n!keep.o\n/top\nsub/only\nbuild/\n**/deep\na/**/z\nlog*/**\n"},
		{"": "*\n!*/\n!*.go\n", "a": "x.go\n", "a/b": "!x.go\n*.o\n"},
		{"": "a/\n", "a": "!keep.o\n"},
		{"": "# comment\n\\#hash\n\\!bang\nspace \nblank\\ \nback\\\\slash\n\n/\n//\n!\n", "b": "/x.go\n**\n"},
		{"": "\ufeffx.go\r\nb/x.go\r\n[ab]/deep\n?.go\n", "a/b": "/keep.o/\n"},
		{"": "foo/*\n!foo/keep.o\nb/**\n!b/x.go\n", "a": "b\n"},
		{"": "/**/x.go\n**/\n!a/\n!b/\n"},
	}
	for i, files := range fixed {
		t.Run(fmt.Sprint(i), func(t *testing.T) { compareWithGit(t, files) })
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 16 {
		files := map[string]string{"": randomRules(random), "a": randomRules(random), "a/b": randomRules(random)}
		t.Run(fmt.Sprintf("random-%d", i), func(t *testing.T) { compareWithGit(t, files) })
	}
}

func randomRules(random *rand.Rand) string {
	parts := []string{"a", "b", "foo", "x.go", "keep.o", "deep", "*", "**", "?", "*.go", "[a-f]*", "/", "/", "/", "\\x", "[!x]*"}
	var b strings.Builder
	for range random.IntN(5) {
		if random.IntN(3) == 0 {
			b.WriteByte('!')
		}
		for range 1 + random.IntN(4) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func compareWithGit(t *testing.T, ignoreFiles map[string]string) {
	root := t.TempDir()
	run(t, root, nil, "git", "init", "-q")
	for _, dir := range []string{"", "a", "a/b", "b", "foo", "foo/a", "logs", "build", "sub"} {
		for _, name := range []string{"x.go", "keep.o", "deep", "only", "z", "top", "#hash", "!bang", "space", "blank ", "back\\slash", "a.o"} {
			write(t, filepath.Join(root, dir, name), "x")
		}
	}
	for dir, text := range ignoreFiles {
		write(t, filepath.Join(root, dir, ignoreName), text)
	}
	s := &scanner{root: root}
	seen, err := s.scan(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Git's own list of what is there and not ignored.
	out := run(t, root, nil, "git", "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard")
	want := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if name != "" && !isTemporary(filepath.Base(name)) {
			want[name] = true
		}
	}
	for name := range want {
		if _, ok := seen.files[name]; !ok {
			t.Errorf("%q is ignored here, not by Git; rules %q", name, ignoreFiles)
		}
	}
	for name := range seen.files {
		if !want[name] {
			t.Errorf("%q is ignored by Git, not here; rules %q", name, ignoreFiles)
		}
	}
}

func run(t *testing.T, dir string, in []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(in)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOuterRules(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, ".git", "HEAD"), "x")
	write(t, filepath.Join(top, ignoreName), "*.log\n/p/q/gen\nhidden\n")
	write(t, filepath.Join(top, "p", ignoreName), "*.o\n")
	for _, name := range []string{"x.go", "x.log", "x.o", "gen/x.go"} {
		write(t, filepath.Join(top, "p/q", name), "x")
		write(t, filepath.Join(top, "hidden/q", name), "x")
	}
	for dir, want := range map[string]string{
		"p/q":      "x.go",
		"hidden/q": "gen/x.go x.go x.log x.o",
	} {
		s := &scanner{root: filepath.Join(top, dir)}
		seen, err := s.scan(nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(sortedKeys(seen.files), " "); got != want {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}

func TestIsTemporary(t *testing.T) {
	for _, name := range []string{"main.go~", ".main.go.swp", ".main.go.swx", ".#main.go", "#main.go#", "main.go___jb_tmp___", "main.go___jb_old___", ".goutputstream-AB12", "4913", ".DS_Store", ".main.go.kate-swp"} {
		if !isTemporary(name) {
			t.Errorf("%q counts", name)
		}
	}
	for _, name := range []string{"main.go", ".env", ".gitignore", "x.swp", "49130", "swap.sw", "#a", ".swift"} {
		if isTemporary(name) {
			t.Errorf("%q does not count", name)
		}
	}
}
