package workflows_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/waxosuit/waxo/templates/workflows"
)

func settings() []workflows.Settings {
	var all []workflows.Settings
	for _, toolchain := range []workflows.Toolchain{"", workflows.Go, workflows.Rust, workflows.Node, workflows.Other} {
		for _, folder := range []string{"", ".", "guests/hello"} {
			all = append(all, workflows.Settings{Name: "hello", Folder: folder, Toolchain: toolchain, Waxo: "v1.2.3"})
		}
	}
	return all
}

// workflow is what the tests look at of a workflow of GitHub Actions.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Defaults    struct {
			Run struct {
				Folder string `yaml:"working-directory"`
			}
		}
		Steps []struct {
			Name, Uses, Run string
			With            map[string]any
		}
	}
}

var pinned = regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40}$`)

func TestGitHub(t *testing.T) {
	for _, s := range settings() {
		text, err := workflows.GitHub(s)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%+v: %v\n%s", s, err, text)
		}
		job := w.Jobs["guest"]
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" || job.Permissions != nil {
			t.Errorf("%+v may do %v", s, w.Permissions)
		}
		var runs []string
		for _, step := range job.Steps {
			if step.Uses != "" && !pinned.MatchString(step.Uses) {
				t.Errorf("%s is not pinned", step.Uses)
			}
			if strings.Contains(step.Run, "${{") {
				t.Errorf("what the service fills in is run: %s", step.Run)
			}
			if step.Run != "" {
				runs = append(runs, step.Run)
			}
		}
		checkRuns(t, s, runs)
		if want := strings.TrimPrefix(s.Folder, "."); job.Defaults.Run.Folder != want {
			t.Errorf("%+v runs in %q", s, job.Defaults.Run.Folder)
		}
		checkText(t, s, string(text))
	}
}

func TestGitLab(t *testing.T) {
	for _, s := range settings() {
		text, err := workflows.GitLab(s)
		if err != nil {
			t.Fatal(err)
		}
		var p map[string]struct {
			Image     string
			Before    []string `yaml:"before_script"`
			Script    []string
			Artifacts struct {
				When    string
				Reports map[string]string
			}
		}
		if err := yaml.Unmarshal(text, &p); err != nil {
			t.Fatalf("%+v: %v\n%s", s, err, text)
		}
		job := p["guest"]
		checkRuns(t, s, slices.Concat(job.Before, job.Script))
		if job.Image != "golang:"+workflows.GoVersion+"-trixie" || job.Artifacts.When != "always" || !strings.HasSuffix(job.Artifacts.Reports["junit"], "waxo-*.xml") {
			t.Errorf("%+v: %+v", s, job)
		}
		if inFolder := slices.Contains(job.Before, "cd guests/hello"); inFolder != (s.Folder == "guests/hello") {
			t.Errorf("%+v: %q", s, job.Before)
		}
		checkText(t, s, string(text))
	}
}

// checkRuns holds the commands of a workflow against what it promises.
func checkRuns(t *testing.T, s workflows.Settings, runs []string) {
	t.Helper()
	wanted := []string{"go install github.com/waxosuit/waxo/cmd/waxo@v1.2.3", "waxo build ", "waxo verify ", "waxo test --format junit", "waxo conformance guest "}
	switch s.Toolchain {
	case workflows.Rust:
		wanted = append(wanted, "rustup toolchain install stable")
	case workflows.Node:
		wanted = append(wanted, "npm ci")
	case "", workflows.Go:
		wanted = append(wanted, "go test ./...")
	}
	for _, want := range wanted {
		if !slices.ContainsFunc(runs, func(run string) bool { return strings.Contains(run, want) }) {
			t.Errorf("%+v runs %q, without %s", s, runs, want)
		}
	}
}

func checkText(t *testing.T, s workflows.Settings, text string) {
	t.Helper()
	for _, placeholder := range []string{"project-name", "project-folder", "waxo-version", "go-version\"", "go-version-", "# toolchain", "# unit"} {
		if strings.Contains(text, placeholder) {
			t.Errorf("%+v: %s is left in\n%s", s, placeholder, text)
		}
	}
	if marked := strings.Contains(text, ">>> Install here"); marked != (s.Toolchain == workflows.Other) {
		t.Errorf("%+v: a marked place: %v", s, marked)
	}
}

// TestActionlint has the linter of GitHub's workflows look at what is written.
func TestActionlint(t *testing.T) {
	lint := func(text []byte) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=../../.ci/tools.mod", "actionlint", "-no-color", "-shellcheck=", "-pyflakes=", "-")
		cmd.Stdin = bytes.NewReader(text)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	good, err := workflows.GitHub(workflows.Settings{Name: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Replace(good, []byte("runs-on:"), []byte("run-on:"), 1)
	if output, err := lint(broken); err == nil || !strings.Contains(output, "run-on") {
		if os.Getenv("CI") != "true" && !strings.Contains(output, "run-on") {
			t.Skipf("actionlint cannot be had: %v\n%s", err, output)
		}
		t.Fatalf("a broken workflow: %v\n%s", err, output)
	}
	for _, s := range settings() {
		text, err := workflows.GitHub(s)
		if err != nil {
			t.Fatal(err)
		}
		if output, err := lint(text); err != nil {
			t.Errorf("%+v: %v\n%s", s, err, output)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, s := range []workflows.Settings{
		{Folder: "a b"}, {Folder: "../up"}, {Folder: "/abs"}, {Folder: "a'b"}, {Folder: "a$b"}, {Folder: "-x"},
		{Waxo: "v1 && rm"}, {Waxo: "-v"},
	} {
		if text, err := workflows.GitHub(s); err == nil {
			t.Errorf("%+v gives\n%s", s, text)
		}
	}
}

func TestToolchainOf(t *testing.T) {
	for command, want := range map[string]workflows.Toolchain{
		"": workflows.Go, "go build": workflows.Go, "cargo build": workflows.Rust, `C:\x\npm run`: workflows.Node,
		"/usr/bin/npx asc": workflows.Node, "tinygo build": workflows.Other, "make": workflows.Other,
	} {
		if got := workflows.ToolchainOf(strings.Fields(command)); got != want {
			t.Errorf("%q is %s, want %s", command, got, want)
		}
	}
}

// TestGoVersion: waxo is installed with the Go that it needs.
func TestGoVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\ngo "+workflows.GoVersion+".") {
		t.Errorf("go.mod asks for another Go than %s", workflows.GoVersion)
	}
}
