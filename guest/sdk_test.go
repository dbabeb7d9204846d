package guest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/guest"
)

func TestWriteGoSDK(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sdk")
	paths, err := guest.WriteGoSDK(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go.mod", "LICENSE", "VERSION", "README.md", "waxo.go", "http/http.go", "waxotest/host.go", "internal/wire/wire.go"} {
		if !slices.Contains(paths, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s is for this repository alone", path)
		}
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	if version, _ := os.ReadFile(filepath.Join(dir, "VERSION")); string(version) != guest.GoSDKVersion+"\n" {
		t.Errorf("VERSION holds %q", version)
	}
	if _, err := guest.WriteGoSDK(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("to write over it = %v", err)
	}
}

// TestLicense holds the SDK's licence to the repository's.
func TestLicense(t *testing.T) {
	ours, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	sdks, err := os.ReadFile("go/LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, sdks) {
		t.Error("guest/go/LICENSE is not a copy of LICENSE")
	}
}

// TestImports holds the SDK to the standard library, and the packages that become
// part of every guest to the part of it that is small.
func TestImports(t *testing.T) {
	const sdk = "github.com/waxosuit/waxo/guest/go"
	list := func(args ...string) []string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, args...)...)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	for _, dep := range list(sdk + "/...") {
		if strings.Contains(dep, ".") && dep != sdk && !strings.HasPrefix(dep, sdk+"/") {
			t.Errorf("the SDK imports %s", dep)
		}
	}
	heavy := []string{"fmt", "reflect", "os", "time", "encoding/json", "net/url", "regexp"}
	for _, dep := range list(sdk, sdk+"/http", sdk+"/kv", sdk+"/log", sdk+"/extras") {
		if slices.Contains(heavy, dep) {
			t.Errorf("guests would hold %s", dep)
		}
	}
}
