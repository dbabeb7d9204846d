package main

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestFreshMachine: in a container that has nothing but Go, waxo and a shell, and no
// network, a new project's tests pass, and the commands of the workflows that waxo
// generate writes run as the services would run them.
func TestFreshMachine(t *testing.T) {
	needEngine(t)
	dir := t.TempDir()
	waxo := filepath.Join(dir, "waxo")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", waxo, "../waxo")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	image := freshImage(t, waxo)
	if output := inFresh(t, image, "ls 2>&1 || go version; go list -m -versions golang.org/x/mod 2>&1 || echo offline"); !strings.Contains(output, "go version") || !strings.HasSuffix(output, "offline\n") {
		t.Errorf("it is no fresh machine: %s", output)
	}
	// One container for all: Go compiles its standard library once.
	script, want := "", []string{}
	for _, template := range []string{"kvcounter", "http"} {
		script += fmt.Sprintf("cd /root && waxo new %s --template %[1]s && cd %[1]s && waxo test\n", template)
		for service, steps := range workflowSteps(t, waxo, template) {
			for _, step := range steps {
				script += fmt.Sprintf("echo %s && %s\n", quoted("== "+service+": "+step), quoted("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step))
			}
		}
		script += "cat waxo-test.xml waxo-conformance.xml\n"
		want = append(want, `(?m)^`+template+`: 2 passed in`, `classname="waxo.`+template+`" name="\w+" file="testscripts/`)
	}
	output := inFresh(t, image, script)
	for _, w := range append(want, `(?m)^== github-actions: waxo build`, `(?m)^== gitlab: waxo conformance guest`, `<testsuites tests="2" failures="0" skipped="0"`) {
		if !regexp.MustCompile(w).MatchString(output) {
			t.Errorf("there is no %s in\n%s", w, output)
		}
	}
}

// workflowSteps are the commands of the workflows for a project of a template, but
// for the one that installs waxo, which is in the image.
func workflowSteps(t *testing.T, waxo, template string) map[string][]string {
	t.Helper()
	project := filepath.Join(t.TempDir(), "hello")
	run := func(dir string, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), waxo, args...)
		cmd.Dir = dir
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("waxo %v: %v", args, err)
		}
		return output
	}
	run("", "new", project, "--template", template)
	var hub struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	must(t, yaml.Unmarshal(run(project, "generate", "github-actions", "-o", "-"), &hub))
	var lab map[string]struct{ Script []string }
	must(t, yaml.Unmarshal(run(project, "generate", "gitlab", "-o", "-"), &lab))
	steps := map[string][]string{"gitlab": lab["guest"].Script}
	installs := 0
	for _, step := range hub.Jobs["guest"].Steps {
		switch {
		case strings.HasPrefix(step.Run, "go install github.com/waxosuit/waxo/cmd/waxo@"):
			installs++
		case step.Run != "":
			steps["github-actions"] = append(steps["github-actions"], step.Run)
		}
	}
	if installs != 1 || len(steps["github-actions"]) != 5 || len(steps["gitlab"]) != 5 {
		t.Errorf("waxo is installed %d times, and the steps are %q", installs, steps)
	}
	return steps
}

// quoted writes words for a shell.
func quoted(words ...string) string {
	for i, w := range words {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// inFresh runs a script in a container of its own, without a network.
func inFresh(t *testing.T, image, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", "none", image, "bash", "-euo", "pipefail", "-c", script)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return string(output)
}

// freshImage makes an image of the Go of this machine, a shell and waxo, and removes
// it at the end.
func freshImage(t *testing.T, waxo string) string {
	t.Helper()
	name := fmt.Sprintf("waxo-fresh:%d", time.Now().UnixNano())
	cmd := exec.CommandContext(t.Context(), "docker", "import",
		"--change", "ENV PATH=/usr/local/go/bin:/usr/local/bin:/bin", "--change", "ENV HOME=/root", "--change", "ENV GOTOOLCHAIN=local", "--change", "WORKDIR /root",
		"-", name)
	archive, writer := io.Pipe()
	cmd.Stdin = archive
	go func() { writer.CloseWithError(writeFresh(writer, waxo)) }()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, output)
	}
	t.Cleanup(func() {
		if output, err := exec.Command("docker", "rmi", "-f", name).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	})
	return name
}

// writeFresh writes the files of the image.
func writeFresh(out io.Writer, waxo string) error {
	w := tar.NewWriter(out)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	for _, dir := range []string{"root/", "tmp/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o777}); err != nil {
			return err
		}
	}
	if err := addFile(w, "usr/local/bin/waxo", waxo); err != nil {
		return err
	}
	if err := addShell(w); err != nil {
		return err
	}
	if err := addTree(w, "usr/local/go", strings.TrimSpace(string(root))); err != nil {
		return err
	}
	return w.Close()
}

// addTree adds the toolchain, without what only those need who work on it.
func addTree(w *tar.Writer, to, from string) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, file)
		switch {
		case err != nil || relErr != nil:
			return cmp.Or(err, relErr)
		case entry.IsDir() && (rel == "test" || rel == "doc" || rel == "api" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		return addFile(w, path.Join(to, filepath.ToSlash(rel)), file)
	})
}

// addShell adds bash, which services run commands with, and the libraries that it
// needs.
func addShell(w *tar.Writer) error {
	shell, err := exec.LookPath("bash")
	if err != nil {
		return err
	}
	libraries, err := exec.Command("ldd", shell).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", shell, err)
	}
	for _, match := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(libraries, -1) {
		if err := addFile(w, strings.TrimPrefix(string(match[1]), "/"), string(match[1])); err != nil {
			return err
		}
	}
	cat, err := exec.LookPath("cat")
	if err != nil {
		return err
	}
	return cmp.Or(addFile(w, "bin/bash", shell), addFile(w, "bin/cat", cat))
}

func addFile(w *tar.Writer, name, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
