// Package workflows writes what services of continuous integration read: how a
// guest's project is built, verified, tested and checked.
//
// What it writes runs the commands of waxo that a person runs, in the versions that
// it names, and is the project's own from then on.
package workflows

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
)

// GoVersion is the Go that waxo is installed with.
const GoVersion = "1.26"

// Settings say what a workflow is for.
type Settings struct {
	Name   string // of the project
	Folder string // of the project in its repository, with slashes; "." or "" for the root
	Waxo   string // a version of waxo that can be fetched; default latest

	// Toolchain is what builds the guest; default Go.
	Toolchain Toolchain
}

// Toolchain is what builds a guest.
type Toolchain string

// The toolchains that workflows can install. Of any other, the workflow has a marked
// place.
const (
	Go    Toolchain = "go"
	Rust  Toolchain = "rust"
	Node  Toolchain = "node" // AssemblyScript
	Other Toolchain = "other"
)

// ToolchainOf guesses the toolchain by the command of a custom build; none is Go.
func ToolchainOf(command []string) Toolchain {
	if len(command) == 0 {
		return Go
	}
	switch path.Base(strings.ReplaceAll(command[0], `\`, "/")) {
	case "go":
		return Go
	case "cargo", "rustc":
		return Rust
	case "npm", "npx", "node", "asc", "yarn", "pnpm":
		return Node
	}
	return Other
}

//go:embed github.yml
var github string

//go:embed gitlab.yml
var gitlab string

// GitHub is a workflow of GitHub Actions.
func GitHub(s Settings) ([]byte, error) {
	return fill(github, githubToolchains, "      ", githubUnit, s)
}

// GitLab is a pipeline of GitLab.
func GitLab(s Settings) ([]byte, error) { return fill(gitlab, gitlabToolchains, "    ", gitlabUnit, s) }

var githubToolchains = map[Toolchain]string{
	Rust: `- name: Install the toolchain
  run: rustup toolchain install stable --profile minimal --target wasm32-unknown-unknown
`,
	Node: `- uses: actions/setup-node@2028fbc5c25fe9cf00d9f06a71cc4710d4507903 # v6.0.0
  with:
    node-version: "24"
- name: Install the toolchain
  run: npm ci
`,
	Other: `# >>> Install here what the command of [build] in waxo.toml needs. <<<
`,
}

const githubUnit = `- name: Test the handlers
  run: go test ./...
`

var gitlabToolchains = map[Toolchain]string{
	Rust: `- apt-get update && apt-get install -y --no-install-recommends rustup
- rustup toolchain install stable --profile minimal --target wasm32-unknown-unknown
`,
	Node: `- apt-get update && apt-get install -y --no-install-recommends nodejs npm
- ( cd project-folder && npm ci )
`,
	Other: `# >>> Install here what the command of [build] in waxo.toml needs. <<<
`,
}

const gitlabUnit = `- go test ./...
`

// plain is a folder that needs no quotes, neither in YAML nor in a shell.
var plain = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_./-]*$`) })

// version is what "go install" may be told.
var version = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]*$`) })

func fill(template string, toolchains map[Toolchain]string, indent, unit string, s Settings) ([]byte, error) {
	folder := path.Clean(s.Folder)
	if !plain().MatchString(folder) || strings.HasPrefix(folder, "..") || path.IsAbs(folder) {
		return nil, fmt.Errorf("workflows: the folder %q has characters that workflows would have to quote: rename it", folder)
	}
	if s.Waxo == "" {
		s.Waxo = "latest"
	}
	if !version().MatchString(s.Waxo) {
		return nil, fmt.Errorf("workflows: %q is no version of waxo", s.Waxo)
	}
	if s.Toolchain != "" && s.Toolchain != Go {
		unit = ""
	}
	text := strings.Replace(template, "# toolchain\n", indented(toolchains[s.Toolchain], indent), 1)
	text = strings.Replace(text, "# unit\n", indented(unit, indent), 1)
	if folder == "." {
		// At the root, a path is better without it.
		text = strings.NewReplacer("        working-directory: project-folder\n", "", "    - cd project-folder\n", "", "project-folder/", "", "cd project-folder && ", "").Replace(text)
	}
	text = strings.NewReplacer(
		"project-name", s.Name, "project-folder", folder, "waxo-version", s.Waxo,
		`"go-version"`, `"`+GoVersion+`"`, "golang:go-version-", "golang:"+GoVersion+"-",
	).Replace(text)
	return []byte(text), nil
}

func indented(lines, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString(indent + line)
	}
	return b.String()
}
