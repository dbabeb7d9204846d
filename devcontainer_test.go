package waxo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDevcontainer holds the one devcontainer.json to what editors and go.mod
// make of it.
func TestDevcontainer(t *testing.T) {
	content, err := os.ReadFile("devcontainer.json")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Image string `json:"image"`
	}
	// No comments, though the format has them: every JSON tool can read it.
	if err := json.Unmarshal(content, &config); err != nil {
		t.Fatalf("devcontainer.json: %v", err)
	}

	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(goMod)
	if version == nil {
		t.Fatal("go.mod names no Go version")
	}
	if want := "golang:" + string(version[1]) + "-"; !strings.HasPrefix(config.Image, want) {
		t.Errorf("image is %q, want %q... as go.mod has it", config.Image, want)
	}

	// Where editors look. A system without symbolic links checks out the
	// link's target as text.
	const place, target = ".devcontainer/devcontainer.json", "../devcontainer.json"
	seen, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(seen, content) && string(seen) != target {
		t.Errorf("%s does not lead to devcontainer.json", place)
	}
	if link, err := os.Readlink(place); err == nil && link != target {
		t.Errorf("%s leads to %q, want %q", place, link, target)
	}
	// A path relative to the file would mean two things, depending on whether
	// the link was followed.
	if bytes.Contains(content, []byte(`"../`)) || bytes.Contains(content, []byte(`"./`)) {
		t.Error("devcontainer.json names a relative path")
	}
}
