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

// TestImports keeps out of guests what is large beside the SDK: package time alone
// adds an eighth, and only those who ask for the clock need it.
func TestImports(t *testing.T) {
	const sdk = guest.GoSDKModule
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", sdk, sdk+"/http", sdk+"/blob", sdk+"/kv", sdk+"/log", sdk+"/extras", sdk+"/msg", sdk+"/events")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if slices.Contains([]string{"fmt", "net/url", "os", "reflect", "regexp", "time"}, dep) {
			t.Errorf("guests would hold %s", dep)
		}
	}
}
