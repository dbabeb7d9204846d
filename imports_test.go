package waxo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/waxosuit/waxo"

// rulesAreExact makes it an error when a rule names no package, or allows an
// import that nobody has. It is off while the packages of the first version are
// written side by side.
const rulesAreExact = true

// The libraries that rules name by more than one word.
const (
	cobra     = "github.com/spf13/cobra"
	goPlugin  = "github.com/hashicorp/go-plugin"
	fsnotify  = "github.com/fsnotify/fsnotify"
	goRedis   = "github.com/redis/go-redis/v9"
	miniredis = "github.com/alicebob/miniredis/v2"
	natsGo    = "github.com/nats-io/nats.go"
	natsJWT   = "github.com/nats-io/jwt/v2"
	natsSrv   = "github.com/nats-io/nats-server/v2"
	awsSDK    = "github.com/aws/aws-sdk-go-v2"
	smithy    = "github.com/aws/smithy-go"
	nkeys     = "github.com/nats-io/nkeys"
	wazero    = "github.com/tetratelabs/wazero"

	testcontainers = "github.com/testcontainers/testcontainers-go"
	toxiproxy      = "github.com/Shopify/toxiproxy/v2"
)

// A rule says what the packages of a folder may import beside the standard
// library. A pattern is a folder of this module or the import path of another,
// and stands for itself alone; with "/..." at its end, for all below it too.
// The rule for a package is the one with the longest pattern that matches.
type rule struct {
	packages string
	imports  []string // by any file
	tests    []string // by test files only
	// command allows what only a command may do: read flags, arguments and the
	// environment, and exit.
	command bool
}

// rules is the order of the layers, from the lowest up: imports go downwards
// only. A package that no rule names is an error, so whoever adds one decides
// where it stands.
var rules = []rule{
	{packages: "."},

	// The foundation.
	{packages: "wapc/wasm"},
	{packages: "wapc/meter", imports: []string{"wapc/wasm"}, tests: []string{wazero + "/..."}},
	{packages: "wapc/...", imports: []string{wazero + "/...", "wapc/meter", "wapc/wasm", "golang.org/x/sys/unix"}, tests: []string{"devhost/seal", "wapc/wasm/wasmgen"}},
	{packages: "wapc/wasm/wasmgen", imports: []string{"wapc/wasm"}, tests: []string{wazero + "/..."}},
	{packages: "wapc/wasm/wasmtest", imports: []string{wazero + "/...", "wapc/wasm", "wapc/wasm/wasmgen"}},
	{packages: "wapc/meter/metertest", tests: []string{wazero + "/...", "wapc/meter", "wapc/wasm/..."}},
	{packages: "wascap", imports: []string{nkeys, "wapc/wasm"}, tests: []string{"testscripts/vectors"}},
	{packages: "capability"},
	{packages: "capability/internal/protogen", imports: []string{
		"github.com/bufbuild/protocompile/...", "google.golang.org/protobuf/...",
	}, command: true},
	{packages: "capability/internal/cputime"},
	{packages: "capability/internal/httpfield"},
	{packages: "capability/internal/sock"},
	{packages: "capability/internal/http1", imports: []string{"capability/internal/httpfield"}},
	{packages: "capability/payload/wire"},
	{packages: "capability/payload/...", imports: []string{"capability/payload/wire"}, tests: []string{
		"capability/payload/...", "github.com/bufbuild/protocompile/...", "google.golang.org/protobuf/...",
	}},

	{packages: "capability/payload/registry", imports: []string{"capability", "capability/payload/..."}, tests: []string{
		"github.com/bufbuild/protocompile", "google.golang.org/protobuf/...",
	}},

	// The providers: clients of something outside, and of no other provider.
	{packages: "capability/httpserver", imports: []string{"capability", "capability/internal/http1", "capability/internal/httpfield", "capability/internal/sock", "capability/payload/..."}, tests: []string{"capability/internal/cputime"}},
	{packages: "capability/httpclient", imports: []string{"capability", "capability/internal/httpfield", "capability/payload/..."}, tests: []string{"capability/internal/cputime"}},
	{packages: "capability/keyvalue", imports: []string{"capability", "capability/internal/sock", "capability/payload/...", goRedis + "/..."}, tests: []string{"capability/internal/cputime", "emulators/redis", "testscripts/parity"}},
	{packages: "capability/internal/natsconn", imports: []string{"capability", natsGo}},
	{packages: "capability/internal/tcpproxy"},
	{packages: "capability/messaging", imports: []string{"capability", "capability/internal/natsconn", "capability/payload/...", natsGo}, tests: []string{
		"capability/internal/cputime", "capability/internal/tcpproxy", "emulators/nats", "testscripts/parity", natsSrv + "/server", natsJWT, nkeys,
	}},
	{packages: "capability/blobstore", imports: []string{"capability", "capability/payload/...", awsSDK + "/...", smithy + "/..."}, tests: []string{"emulators/s3", "testscripts/parity"}},
	{packages: "capability/eventstreams", imports: []string{"capability", "capability/internal/natsconn", "capability/payload/...", natsGo + "/..."}, tests: []string{
		"capability/internal/cputime", "capability/internal/tcpproxy", "emulators/nats", "testscripts/parity", natsSrv + "/server",
	}},
	{packages: "capability/logging", imports: []string{"capability", "capability/payload/..."}},
	{packages: "capability/clock", imports: []string{"capability", "capability/payload/..."}},
	{packages: "capability/extras", imports: []string{"capability", "capability/payload/...", "github.com/google/uuid"}},

	// Providers in other processes: the host's side, which links no library for
	// plugins, and the plugin's.
	{packages: "capability/internal/grpcclient", tests: []string{"google.golang.org/grpc/..."}},
	{packages: "capability/internal/plugincontract", imports: []string{"capability", "capability/payload/..."}},
	{packages: "capability/plugin", imports: []string{
		"capability", "capability/internal/grpcclient", "capability/internal/plugincontract", "capability/payload/...", "wascap", "golang.org/x/sys/unix",
	}, tests: []string{
		"capability/keyvalue", "capability/plugin/serve", "emulators/redis", goPlugin, "github.com/hashicorp/go-hclog", "google.golang.org/grpc/...",
	}},
	{packages: "capability/plugin/serve", imports: []string{
		"capability", "capability/internal/plugincontract", "capability/payload/...", goPlugin, "github.com/hashicorp/go-hclog", "google.golang.org/grpc/...",
	}},

	// The guest's side: nothing but Go itself, and little of that (see
	// TestGuestsStaySmall).
	{packages: "guest/go/...", imports: []string{"guest/go/..."}, tests: []string{"capability", "capability/payload/..."}},
	{packages: "guest", imports: []string{"guest/go"}, tests: []string{
		"capability/...", "emulators/...", "guest/go/...", "guest/guesttest",
	}},
	{packages: "guest/guesttest", imports: []string{wazero + "/..."}},

	// The emulators are leaves: servers that know no host.
	{packages: "emulators/internal/filelock"},
	{packages: "emulators/nats", imports: []string{"emulators/internal/filelock", natsGo, natsSrv + "/server"}, tests: []string{natsGo + "/jetstream"}},
	{packages: "emulators/redis", imports: []string{"emulators/internal/filelock", miniredis + "/..."}, tests: []string{goRedis + "/..."}},
	{packages: "emulators/s3", imports: []string{"emulators/internal/filelock"}, tests: []string{awsSDK + "/...", smithy}},

	// The host.
	{packages: "devhost/manifest", imports: []string{"capability", "github.com/BurntSushi/toml", "github.com/bmatcuk/doublestar/v4"}},
	{packages: "devhost", imports: []string{"devhost/manifest", "wapc", "wascap", "capability", "capability/payload/..."}},
	{packages: "devhost/admin", imports: []string{"capability", "devhost", "wascap"}, tests: []string{"capability/httpserver", "capability/payload/httppb", "wapc"}},

	// The workbench around it. Neither knows a provider or an emulator.
	{packages: "devhost/slim", imports: []string{wazero + "/...", "wapc/wasm"}, tests: []string{
		"capability/payload/...", "devhost/seal", "testscripts/guests",
	}},
	{packages: "devhost/seal", imports: []string{"wapc/wasm"}, tests: []string{wazero + "/...", "wapc/wasm/..."}},
	{packages: "devhost/build", imports: []string{"devhost/manifest"}},
	{packages: "devhost/control"},
	{packages: "devhost/fault", imports: []string{"capability", "devhost/manifest"}, tests: []string{
		"capability/blobstore", "capability/keyvalue", "capability/messaging", "capability/payload/...",
		"emulators/nats", "emulators/redis", "emulators/s3",
	}},
	{packages: "devhost/watch", imports: []string{fsnotify, "github.com/bmatcuk/doublestar/v4"}},
	{packages: "devhost/doctor", imports: []string{"capability", "devhost/build", "devhost/manifest", "devhost/printable", "devhost/watch"}},
	{packages: "devhost/project", imports: []string{"devhost/build", "devhost/manifest", "devhost/seal", "devhost/slim", "wascap"}},
	{packages: "devhost/workbench", imports: []string{"devhost", "devhost/build", "devhost/manifest", "devhost/project", "devhost/watch", "wapc"}, tests: []string{"capability", "wapc/wasm"}},
	{packages: "devhost/connect", imports: []string{"capability/...", "devhost", "devhost/manifest"}, tests: []string{"devhost/embedded", "emulators/redis"}},
	{packages: "devhost/embedded", imports: []string{"capability", "devhost/connect", "emulators/..."}, tests: []string{"devhost/manifest"}},
	{packages: "devhost/state"},
	{packages: "devhost/printable"},
	{packages: "devhost/console", imports: []string{"devhost/printable", "devhost/workbench", "golang.org/x/sys/unix"}},

	// What stands on top.
	{packages: "templates", imports: []string{"guest"}, tests: []string{"capability/payload/...", "guest/go/...", "guest/guesttest"}},
	{packages: "templates/workflows", tests: []string{"go.yaml.in/yaml/v3"}},
	{packages: "templates/kvcounter", imports: []string{"guest/go/..."}},
	{packages: "templates/http", imports: []string{"guest/go/..."}},
	{packages: "templates/provider", imports: []string{"capability", "capability/payload/...", "capability/plugin/serve"}, tests: []string{"capability/plugin"}, command: true},
	// The conformance suite, and the scripts of projects.
	{packages: "docs"},
	{packages: "testscripts/rules", imports: []string{"docs"}},
	{packages: "testscripts/report", imports: []string{"testscripts/rules"}},
	{packages: "testscripts/script", imports: []string{"testscripts/report", "github.com/rogpeppe/go-internal/testscript", "github.com/rogpeppe/go-internal/txtar"}},
	{packages: "testscripts/wat", imports: []string{"wapc/wasm"}},
	{packages: "testscripts/vectors", tests: []string{
		"capability", "capability/payload/...", "testscripts/rules", "wapc", "github.com/bufbuild/protocompile", "google.golang.org/protobuf/...",
	}},
	{packages: "testscripts/vectors/generate", imports: []string{
		"testscripts/vectors", "github.com/bufbuild/protocompile", "google.golang.org/protobuf/...",
	}, command: true},
	{packages: "testscripts/guests", imports: []string{"github.com/rogpeppe/go-internal/lockedfile"}, tests: []string{
		wazero + "/...", "wapc", "capability/payload/...",
	}, command: true},
	{packages: "testscripts/guestsuite", imports: []string{
		"capability", "capability/payload/...", "testscripts/report", "testscripts/script", "wapc", "wapc/wasm", "wascap",
		"github.com/rogpeppe/go-internal/testscript", "github.com/rogpeppe/go-internal/txtar",
	}, tests: []string{"devhost/build", "devhost/project", "templates", "testscripts/guests", "testscripts/rules", "testscripts/wat"}},
	{packages: "testscripts/hostsuite", imports: []string{
		"capability", "capability/keyvalue", "capability/payload/...", "emulators/nats", "emulators/redis",
		"testscripts/report", "testscripts/script", "testscripts/wat", "wapc/wasm", "wascap",
		natsGo, "github.com/rogpeppe/go-internal/testscript",
	}, tests: []string{"testscripts/rules", "testscripts/waxohost"}},
	{packages: "testscripts/waxohost", imports: []string{"capability", "devhost", "testscripts/hostsuite", "wapc", "wascap"}, tests: []string{"testscripts/report"}},
	{packages: "testscripts/wapchost", imports: []string{"testscripts/hostsuite"}, tests: []string{
		"testscripts/report", "github.com/rogpeppe/go-internal/lockedfile",
	}},
	{packages: "testscripts/parity", imports: []string{"capability", "capability/payload/..."}, tests: []string{"testscripts/rules"}},
	{packages: "testscripts/providersuite", imports: []string{
		"capability", "capability/eventstreams", "capability/plugin", "devhost/connect", "devhost/embedded", "devhost/manifest", "testscripts/parity", "testscripts/report",
	}, tests: []string{"capability/payload/...", "emulators/...", "harness/companion"}},
	{packages: "testscripts/coverage", imports: []string{"testscripts/parity", "testscripts/rules", "testscripts/script", "testscripts/vectors"}},
	{packages: "testscripts/coverage/generate", imports: []string{"testscripts/coverage"}, command: true},
	{packages: "testscripts/project", imports: []string{
		"capability", "capability/httpserver", "capability/payload/...", "capability/plugin", "devhost", "devhost/admin", "devhost/build",
		"devhost/connect", "devhost/embedded", "devhost/fault", "devhost/manifest", "devhost/project", "devhost/watch", "testscripts/report", "testscripts/script",
		"wapc", "wascap", "github.com/rogpeppe/go-internal/testscript",
	}, tests: []string{"templates"}},
	{packages: "testscripts/project/reference", imports: []string{"testscripts/project", "testscripts/script"}, command: true},

	// The programs. What they have in common knows of no embedded server, no builder
	// and no test: cmd/waxo brings them along.
	{packages: "cmd/internal/cli", imports: []string{
		cobra, "wapc", "wascap", "capability", "capability/httpserver", "capability/plugin",
		"devhost", "devhost/admin", "devhost/connect", "devhost/manifest", "devhost/printable",
	}, tests: []string{"capability/keyvalue"}, command: true},
	{packages: "cmd/internal/clitest", imports: []string{"github.com/rogpeppe/go-internal/testscript"}},
	{packages: "cmd/waxo-host", imports: []string{cobra, "cmd/internal/cli"}, tests: []string{
		"cmd/internal/clitest", "capability", "devhost/build", "devhost/project", "emulators/redis", "templates", "wascap", "github.com/rogpeppe/go-internal/testscript",
	}, command: true},
	{packages: "cmd/waxo", imports: []string{
		cobra, "golang.org/x/term", "cmd/internal/cli",
		"wapc/...", "wascap", "capability/...", "devhost/...", "harness/companion", "templates", "templates/workflows",
		"testscripts/guestsuite", "testscripts/hostsuite", "testscripts/project", "testscripts/providersuite", "testscripts/report", "testscripts/script",
	}, tests: []string{"cmd/internal/clitest", "github.com/rogpeppe/go-internal/testscript", "testscripts/guests"}, command: true},

	// Real services in containers. A container engine's client is heavy: cmd/waxo
	// reaches all of this through a companion process.
	{packages: "harness/images", imports: []string{"github.com/containerd/errdefs", "github.com/moby/moby/..."}, tests: []string{"github.com/moby/docker-image-spec/..."}},
	{packages: "harness/images/reaper", command: true},
	{packages: "harness/images/build", imports: []string{"github.com/moby/moby/client", "harness/images"}, command: true},
	{packages: "harness/companion", tests: []string{"capability"}},
	{packages: "harness/containers", imports: []string{
		testcontainers + "/...", "github.com/containerd/errdefs", "github.com/moby/moby/...",
		"capability", "harness/companion", "harness/images",
	}, tests: []string{natsGo + "/...", "capability/...", "harness/faults"}},
	{packages: "harness/faults", imports: []string{toxiproxy, "github.com/rs/zerolog"}},
	{packages: "harness", imports: []string{
		"capability", "capability/httpserver", "devhost", "devhost/admin", "devhost/build", "devhost/connect", "devhost/embedded", "devhost/manifest",
		"devhost/project", "harness/companion", "harness/faults", "wapc", "wascap",
	}, tests: []string{"capability/payload/...", "harness/containers", "templates", natsGo + "/..."}},
	{packages: "cmd/waxo-containers", imports: []string{"harness/companion", "harness/containers"}, tests: []string{"capability", "github.com/moby/moby/client", "go.yaml.in/yaml/v3"}, command: true},

	// Whole processes, measured from outside.
	{packages: "harness/bench", tests: []string{
		"capability", "devhost/workbench", "harness", "templates", "wapc/wasm", "wascap", goRedis, natsGo + "/...", awsSDK + "/...",
	}},
	{packages: "harness/bench/guest", imports: []string{"guest/go/..."}},
	{packages: "harness/bench/native", imports: []string{goRedis}, command: true},
	{packages: "harness/bench/table", command: true},
}

// homes are the libraries that stay behind one door, and the doors: a rule
// above that let them in elsewhere would be wrong.
var homes = []struct {
	library string
	doors   []string
}{
	{cobra, []string{"cmd/internal/cli", "cmd/waxo", "cmd/waxo-host"}},
	{wazero, []string{"wapc/...", "testscripts/guests", "devhost/seal", "devhost/slim", "guest/guesttest"}},
	{nkeys, []string{"wascap", "capability/messaging"}},
	{fsnotify, []string{"devhost/watch"}},
	{goPlugin, []string{"capability/plugin/..."}},
	{"google.golang.org/grpc", []string{"capability/plugin/...", "capability/internal/grpcclient"}},
	{miniredis, []string{"emulators/redis"}},
	{awsSDK, []string{"capability/blobstore", "emulators/s3", "harness/bench"}},
	{smithy, []string{"capability/blobstore", "emulators/s3"}},
	{natsSrv, []string{"emulators/nats", "capability/eventstreams", "capability/messaging"}},
	{natsGo, []string{"emulators/nats", "capability/eventstreams", "capability/internal/natsconn", "capability/messaging", "harness", "harness/bench", "harness/containers", "testscripts/hostsuite"}},
	{goRedis, []string{"capability/keyvalue", "emulators/redis", "harness/bench/..."}},
	{testcontainers, []string{"harness/containers"}},
	{toxiproxy, []string{"harness/faults"}},
	{"github.com/moby/moby", []string{"harness/containers", "harness/images/...", "cmd/waxo-containers"}},
}

// matches tells whether an import path matches a pattern of the table.
func matches(pattern, importPath string) bool {
	if first, _, _ := strings.Cut(pattern, "/"); !strings.Contains(first, ".") {
		pattern = module + "/" + pattern
	} else if pattern == "." {
		pattern = module
	}
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return importPath == parent || strings.HasPrefix(importPath, parent+"/")
	}
	return importPath == pattern
}

func matchesAny(patterns []string, importPath string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, importPath) })
}

// ruleFor returns the index in rules of a package's rule, or -1.
func ruleFor(importPath string) int {
	best := -1
	for i, r := range rules {
		if matches(r.packages, importPath) && (best < 0 || len(r.packages) > len(rules[best].packages)) {
			best = i
		}
	}
	return best
}

// standard tells whether an import is of the standard library: no dot in its
// first element, as the go command has it.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// source is one Go file of the module.
type source struct {
	name string // from the module's root, with slashes
	pkg  string // import path
	test bool
	file *ast.File
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// sources parses every Go file that belongs to the module, for whatever system
// it is meant: what the go command would leave out here is looked at as well.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		hidden := base != "." && strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
		if entry.IsDir() {
			_, noModule := os.Stat(filepath.Join(name, "go.mod"))
			if hidden || base == "testdata" || name != "." && noModule == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if hidden || filepath.Ext(name) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		found = append(found, source{
			name: name,
			pkg:  path.Join(module, path.Dir(name)),
			test: strings.HasSuffix(name, "_test.go"),
			file: file,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestImportsGoDownwards(t *testing.T) {
	// What is used of each rule: patterns of imports, and "" for the rule itself.
	used := make([]map[string]bool, len(rules))
	for _, s := range sources(t) {
		i := ruleFor(s.pkg)
		if i < 0 {
			t.Errorf("%s: no rule for package %s: add one to imports_test.go", s.name, s.pkg)
			continue
		}
		if used[i] == nil {
			used[i] = map[string]bool{"": true}
		}
		for _, imported := range s.imports() {
			pattern, allowed := rules[i].allows(s, imported)
			if !allowed {
				t.Errorf("%s: imports %s, which the rule for %q does not allow", s.name, imported, rules[i].packages)
			}
			used[i][pattern] = true
			for _, home := range homes {
				if matches(home.library+"/...", imported) && !matchesAny(home.doors, s.pkg) {
					t.Errorf("%s: imports %s, which belongs to %v alone", s.name, imported, home.doors)
				}
			}
		}
	}
	for i, r := range rules {
		for _, pattern := range slices.Concat([]string{""}, r.imports, r.tests) {
			if rulesAreExact && !used[i][pattern] {
				t.Errorf("the rule for %q is idle: no package has it, or none imports %q", r.packages, pattern)
			}
		}
	}
}

// allows tells whether a file may import a package, and the pattern that
// allows it, which is empty where none is needed: for the standard library, and
// for an external test that imports its own package.
func (r rule) allows(s source, imported string) (pattern string, ok bool) {
	if standard(imported) || s.test && imported == s.pkg {
		return "", true
	}
	patterns := r.imports
	if s.test {
		patterns = slices.Concat(r.imports, r.tests)
	}
	for _, p := range patterns {
		if matches(p, imported) {
			return p, true
		}
	}
	return "", false
}

// onlyCommands are the names that tie code to the process it runs in, by the
// package that they are of.
var onlyCommands = map[string][]string{
	"os":  {"Args", "Exit", "Getenv", "LookupEnv", "ExpandEnv"},
	"log": {"Fatal", "Fatalf", "Fatalln"},
}

func TestOnlyCommandsReadFlagsAndExit(t *testing.T) {
	for _, s := range sources(t) {
		if i := ruleFor(s.pkg); s.test || i >= 0 && rules[i].command {
			continue
		}
		if slices.Contains(s.imports(), "flag") {
			t.Errorf("%s: imports flag; only commands read flags", s.name)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := selector.X.(*ast.Ident); ok && slices.Contains(onlyCommands[pkg.Name], selector.Sel.Name) {
				t.Errorf("%s: uses %s.%s; only commands read the environment and exit", s.name, pkg.Name, selector.Sel.Name)
			}
			return true
		})
	}
}

// notInGuests are the packages that make a guest large or reach for what a
// guest does not have.
var notInGuests = []string{"encoding/json", "fmt", "net", "os", "reflect"}

// TestGuestsStaySmall looks at everything that a guest links in through the Go
// SDK, as it is compiled for WebAssembly. Packages whose name ends in "test"
// are for the tests of guests, which run natively.
func TestGuestsStaySmall(t *testing.T) {
	if _, err := os.Stat("guest/go"); err != nil && !rulesAreExact {
		return
	}
	list := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Deps}} {{.}}{{end}}`, "./guest/go/...")
	list.Env = append(list.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	looked := 0
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if strings.HasSuffix(fields[0], "test") {
			continue
		}
		looked++
		for _, dep := range fields[1:] {
			if slices.Contains(notInGuests, dep) {
				t.Errorf("%s links in %s", fields[0], dep)
			}
		}
	}
	if looked == 0 {
		t.Error("no package was looked at")
	}
}

// notInHosts are packages that cost every start of the host more than they are
// worth there, or by which the linker keeps every exported method of the program.
var notInHosts = []string{"google.golang.org/grpc", "google.golang.org/protobuf", goPlugin, "net/rpc", "html/template", "golang.org/x/net/trace"}

// notInProduction are the packages that waxo-host is there to do without: servers to
// embed, what builds and watches, and tests. "..." stands for all below.
var notInProduction = []string{
	natsSrv + "/...", "github.com/alicebob/miniredis/...", "github.com/yuin/gopher-lua/...", fsnotify + "/...",
	"github.com/rogpeppe/go-internal/...",
	"emulators/...", "devhost/embedded", "harness/...", "templates/...", "testscripts/...", "guest/...",
	"devhost/build", "devhost/console", "devhost/control", "devhost/fault", "devhost/project", "devhost/seal", "devhost/slim",
	"devhost/state", "devhost/watch", "devhost/workbench",
}

// linked are the packages that a program links in.
func linked(t *testing.T, program string) []string {
	t.Helper()
	output, err := exec.Command("go", "list", "-deps", "./"+program).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(output))
}

// TestHostStartsQuickly looks at everything that the programs which run modules link
// in.
func TestHostStartsQuickly(t *testing.T) {
	for _, program := range []string{"cmd/waxo", "cmd/waxo-host"} {
		deps := linked(t, program)
		for _, dep := range deps {
			if slices.ContainsFunc(notInHosts, func(p string) bool { return dep == p || strings.HasPrefix(dep, p+"/") }) {
				t.Errorf("%s links in %s", program, dep)
			}
		}
		if !slices.Contains(deps, module+"/capability/plugin") {
			t.Errorf("of %d packages of %s, none runs plugins", len(deps), program)
		}
	}
}

// TestProductionHoldsNoMoreThanItUses looks at everything that waxo-host links in.
// That waxo links it tells that the patterns are right.
func TestProductionHoldsNoMoreThanItUses(t *testing.T) {
	workbench := linked(t, "cmd/waxo")
	for _, pattern := range notInProduction {
		if !slices.ContainsFunc(workbench, func(dep string) bool { return matches(pattern, dep) }) {
			t.Errorf("cmd/waxo links in nothing of %s: is it called otherwise now?", pattern)
		}
	}
	for _, dep := range linked(t, "cmd/waxo-host") {
		if matchesAny(notInProduction, dep) {
			t.Errorf("cmd/waxo-host links in %s", dep)
		}
	}
}

func TestRulesMatch(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{".", module, true},
		{".", module + "/wapc", false},
		{"wapc", module + "/wapc", true},
		{"wapc", module + "/wapc/wasm", false},
		{"wapc/...", module + "/wapc", true},
		{"wapc/...", module + "/wapc/wasm", true},
		{"wapc/...", module + "/wapcx", false},
		{wazero, wazero, true},
		{wazero, wazero + "/api", false},
		{wazero + "/...", wazero + "/api", true},
	}
	for _, test := range tests {
		if got := matches(test.pattern, test.path); got != test.want {
			t.Errorf("matches(%q, %q) = %t, want %t", test.pattern, test.path, got, test.want)
		}
	}
	packages := func(importPath string) string {
		if i := ruleFor(importPath); i >= 0 {
			return rules[i].packages
		}
		return "none"
	}
	for path, want := range map[string]string{
		module + "/wapc":      "wapc/...",
		module + "/wapc/wasm": "wapc/wasm",
		module + "/nobody":    "none",
	} {
		if got := packages(path); got != want {
			t.Errorf("the rule for %s is that of %q, want %q", path, got, want)
		}
	}
	seen := make(map[string]bool)
	for _, r := range rules {
		if seen[r.packages] {
			t.Errorf("two rules for %q", r.packages)
		}
		seen[r.packages] = true
	}
}
