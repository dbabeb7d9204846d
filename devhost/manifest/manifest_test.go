package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const full = `# a comment with "quotes" and [brackets]
name = "counter"
version = "1.2.3-rc.1"
language = "custom"
capabilities = [
  "wascap:http_server", # first
  "wascap:keyvalue", "gpio:relay", "wascap:messaging", "wascap:http_client",
]

[build]
command = ["make", "guest"]
output = "out/guest.wasm"
watch = ["src/**/*.rs", "Cargo.toml"]
optimize = ["merge", "strip"]

[dev]
port = 0

[[bind]]
capability = "wascap:keyvalue"

[[bind]]
capability = "wascap:keyvalue"
name = "cache"
provider = "url"
url = "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0"
config = { prefix = "${PREFIX}:", plain = "$${X} costs $5$$$" }

[[bind]]
capability = "wascap:messaging"
provider = "container"
image = "nats:2"

[[bind]]
capability = "gpio:relay"
provider = "plugin"
plugin = "./plugins/relay"

[[bind]]
capability = "wascap:http_client"
allow = ["api.example.com", "127.0.0.1:9000"]

[limits]
memory = "64MiB"
call_timeout = "1m30s"
instances = 4
total_memory = "512MiB"
queue = 0
request_body = 1024
response_body = "1KiB"
`

func TestParseFull(t *testing.T) {
	m, err := Parse([]byte(full), "dir/waxo.toml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Binds {
		m.Binds[i].at, m.Binds[i].key = nil, ""
	}
	want := &Manifest{
		Path: "dir/waxo.toml", Name: "counter", Version: "1.2.3-rc.1", Language: LanguageCustom,
		Capabilities: []string{"wascap:http_server", "wascap:keyvalue", "gpio:relay", "wascap:messaging", "wascap:http_client"},
		Build:        Build{Command: []string{"make", "guest"}, Output: "out/guest.wasm", Watch: []string{"src/**/*.rs", "Cargo.toml"}, Optimize: []string{"merge", "strip"}},
		Binds: []Bind{
			{Capability: "wascap:keyvalue", Name: "default", Provider: ProviderEmbedded},
			{Capability: "wascap:keyvalue", Name: "cache", Provider: ProviderURL, URL: "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0",
				Config: map[string]string{"prefix": "${PREFIX}:", "plain": "$${X} costs $5$$$"}},
			{Capability: "wascap:messaging", Name: "default", Provider: ProviderContainer, Image: "nats:2"},
			{Capability: "gpio:relay", Name: "default", Provider: ProviderPlugin, Plugin: "./plugins/relay"},
			{Capability: "wascap:http_client", Name: "default", Provider: ProviderEmbedded, Allow: []string{"api.example.com", "127.0.0.1:9000"}},
		},
		Limits: Limits{Memory: 64 << 20, CallTimeout: 90 * time.Second, Instances: 4, TotalMemory: 512 << 20, RequestBody: 1024, ResponseBody: 1024},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if m.Dir() != "dir" {
		t.Errorf("Dir() = %q", m.Dir())
	}
}

func TestParseDefaults(t *testing.T) {
	m, err := Parse([]byte("name = \"a\"\nlanguage = \"go\"\n"), "waxo.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Manifest{
		Path: "waxo.toml", Name: "a", Version: "0.1.0", Language: "go", Dev: Dev{Port: 8080},
		Limits: Limits{Memory: 256 << 20, CallTimeout: 30 * time.Second, Instances: 128, TotalMemory: 1 << 30, Queue: 1000, RequestBody: 32 << 20, ResponseBody: 32 << 20},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestNoOptimizations(t *testing.T) {
	m, err := Parse([]byte(head+"[build]\noptimize = []\n"), "waxo.toml")
	if err != nil || m.Build.Optimize == nil || len(m.Build.Optimize) != 0 {
		t.Errorf("an empty list gives %#v, error %v", m, err)
	}
}

const head = "name = \"a\"\nlanguage = \"go\"\n" // two lines

func TestMistakes(t *testing.T) {
	custom := "name = \"a\"\nlanguage = \"custom\"\n"
	bind := head + "capabilities = [\"wascap:keyvalue\"]\n[[bind]]\ncapability = \"wascap:keyvalue\"\n" // five lines
	tests := []struct{ name, text, want string }{
		{"empty", "", `1:1: name is missing: add name = "..."` + "\n" + `1:1: language is missing: add language = "go" or language = "custom"`},
		{"syntax", head + "version = \n", `3:11: expected value but found '\n' instead`},
		{"unclosed", head + "[build\n", `3:7: `},
		{"repeated key", head + "name = \"b\"\n", `3:1: Key 'name' has already been defined`},
		{"name type", "name = 1\nlanguage = \"go\"", `1:1: name must be a string, not an integer`},
		{"language type", "name = \"a\"\nlanguage = []", `2:1: language must be a string, not an array`},
		{"name upper", "name = \"Abc\"\nlanguage = \"go\"", `1:1: the name "Abc" must be of lower-case`},
		{"name digit", "name = \"1a\"\nlanguage = \"go\"", `1:1: the name "1a" must`},
		{"name hyphen", "name = \"a-\"\nlanguage = \"go\"", `1:1: the name "a-" must`},
		{"name path", "name = \"../a\"\nlanguage = \"go\"", `1:1: the name "../a" must`},
		{"name empty", "name = \"\"\nlanguage = \"go\"", `1:1: the name is empty`},
		{"name device", "name = \"nul\"\nlanguage = \"go\"", `1:1: the name "nul" is a device's`},
		{"name long", "name = \"" + strings.Repeat("a", 64) + "\"\nlanguage = \"go\"", `1:1: the name has 64 characters, 63 are allowed`},
		{"version", head + "version = \"one\"", `3:1: the version "one" is not`},
		{"language", "name = \"a\"\nlanguage = \"golang\"", `2:1: unknown language "golang": did you mean "go"?`},
		{"language later", "name = \"a\"\nlanguage = \"rust\"", `2:1: this version builds "go" and "custom"; for rust take "custom"`},
		{"unknown key", head + "lang = \"go\"", `3:1: unknown key "lang": did you mean "language"?`},
		{"unknown key far", head + "zzzzzzzz = 1", `3:1: unknown key "zzzzzzzz"; known are bind, build, capabilities, dev, language, limits, name, version`},
		{"unknown table", head + "[limit]\nmemory = \"1MiB\"", `3:2: unknown key "limit": did you mean "limits"?`},
		{"unknown nested", head + "[dev]\nports = 1", `4:1: unknown key "ports" in [dev]: did you mean "port"?`},
		{"unknown in bind", bind + "provder = \"url\"", `6:1: unknown key "provder" in [bind[0]]: did you mean "provider"?`},
		{"capability", head + "capabilities = [\"wascap:keyvalue\",\n \"wascap:httpserver\"]", `4:2: unknown capability "wascap:httpserver": did you mean "wascap:http_server"?`},
		{"capability bare", head + "capabilities = [\"messaging\"]", `3:17: the capability "messaging" has no namespace: did you mean "wascap:messaging"?`},
		{"capability ours", head + "capabilities = [\"waxo:clok\"]", `3:17: unknown capability "waxo:clok": did you mean "waxo:clock"?`},
		{"capability vendor", head + "capabilities = [\"a vendor:x\"]", `3:17: the capability "a vendor:x" is not of the form`},
		{"capability core", head + "capabilities = [\"core\"]", `3:17: "core" needs no claim`},
		{"capability twice", head + "capabilities = [\"a:b\", \"a:b\"]", `3:24: the capability "a:b" is named twice`},
		{"capability type", head + "capabilities = [1]", `3:17: capabilities[0] must be a string, not an integer`},
		{"capabilities type", head + "capabilities = \"a:b\"", `3:1: capabilities must be an array of strings, not a string`},
		{"port", head + "[dev]\nport = 65536", `4:1: dev.port: 65536 is out of range: 0 to 65535 are possible`},
		{"port negative", head + "dev.port = -1", `3:1: dev.port: -1 is out of range`},
		{"port type", head + "[dev]\nport = \"80\"", `4:1: dev.port must be an integer, not a string`},
		{"table type", head + "dev = 1", `3:1: dev must be a table, not an integer`},
		{"optimize", head + "[build]\noptimize = [\"strip\", \"murge\"]", `4:22: unknown optimization "murge": did you mean "merge"?`},
		{"optimize twice", head + "[build]\noptimize = [\"dead\", \"dead\"]", `4:21: "dead" is named twice`},
		{"optimize type", head + "[build]\noptimize = \"none\"", `4:1: build.optimize must be an array of strings, not a string`},
		{"optimize element", head + "[build]\noptimize = [1]", `4:13: build.optimize[0] must be a string, not an integer`},
		{"optimize empty", head + "[build]\noptimize = [\"\"]", `4:13: unknown optimization ""; known are dead, merge, snapshot, strip`},
		{"go command", head + "[build]\ncommand = [\"make\"]", `4:1: build.command is for language = "custom"`},
		{"go output", head + "[build]\noutput = \"a.wasm\"", `4:1: build.output is for language = "custom"`},
		{"custom nothing", custom, `1:1: language = "custom" needs [build] command = ["program", "argument", ...]` + "\n" + `1:1: language = "custom" needs [build] output`},
		{"custom empty", custom + "[build]\ncommand = [\"\"]\noutput = \"\"", `4:12: build.command names no program` + "\n" + `5:1: build.output is empty`},
		{"output outside", custom + "[build]\ncommand = [\"m\"]\noutput = \"../a.wasm\"", `5:1: build.output: "../a.wasm" must be a plain path`},
		{"output absolute", custom + "[build]\ncommand = [\"m\"]\noutput = \"/a.wasm\"", `5:1: build.output: "/a.wasm" must be a plain path`},
		{"watch pattern", head + "[build]\nwatch = [\"a\", \"[\"]", `4:15: "[" is not a pattern`},
		{"watch outside", head + "[build]\nwatch = [\"../**\"]", `4:10: "../**" must be a plain path`},
		{"bind type", head + "bind = 1", `3:1: bind must be an array of tables, not an integer: write [[bind]] above each`},
		{"bind table", head + "[bind]\nname = \"a\"", `3:2: bind must be an array of tables, not a table`},
		{"bind empty", head + "[[bind]]", `3:3: [[bind]] needs capability = "..."`},
		{"bind unclaimed", head + "[[bind]]\ncapability = \"wascap:keyvalue\"", `4:1: "wascap:keyvalue" is bound but not claimed`},
		{"bind unknown", head + "[[bind]]\ncapability = \"wascap:keyvaleu\"", `4:1: unknown capability "wascap:keyvaleu": did you mean "wascap:keyvalue"?`},
		{"bind twice", bind + "[[bind]]\ncapability = \"wascap:keyvalue\"", `6:3: "wascap:keyvalue" is bound twice under the name "default"`},
		{"bind name", bind + "name = \"a b\"", `6:1: the binding's name "a b"`},
		{"provider", bind + "provider = \"embeded\"", `6:1: unknown provider "embeded": did you mean "embedded"?`},
		{"container of what has none", head + "capabilities = [\"wascap:logging\"]\n[[bind]]\ncapability = \"wascap:logging\"\nprovider = \"container\"", `6:1: there is no container for wascap:logging`},
		{"no image", bind + "provider = \"container\"\nimage = \"redis 7\"", `7:1: "redis 7" is not an image`},
		{"image of a flag", bind + "provider = \"container\"\nimage = \"-v\"", `7:1: "-v" is not an image`},
		{"provider without plugin", bind + "provider = \"plugin\"", `4:3: provider = "plugin" needs plugin = `},
		{"allow elsewhere", bind + "allow = [\"a\"]", `6:1: allow is for wascap:http_client`},
		{"allow an address", head + "capabilities = [\"wascap:http_client\"]\n[[bind]]\ncapability = \"wascap:http_client\"\nallow = [\"ok\", \"http://a\"]", `6:16: "http://a" is not a host`},
		{"image", bind + "image = \"redis\"", `6:1: image is for provider = "container"`},
		{"plugin", bind + "plugin = \"x\"", `6:1: plugin is for provider = "plugin"`},
		{"url without provider", bind + "url = \"redis://h\"", `6:1: url is for provider = "url"`},
		{"provider without url", bind + "provider = \"url\"", `4:3: provider = "url" needs url = `},
		{"url", bind + "provider = \"url\"\nurl = \"127.0.0.1:6379\"", `7:1: url: this is not an address`},
		{"url variable", bind + "provider = \"url\"\nurl = \"redis://${A\"", `7:1: url: a variable must be written`},
		{"config variable", bind + "config = { a = \"${1}\" }", `6:12: a variable must be written`},
		{"config type", bind + "[bind.config]\na = 1\nb = \"ok\"", `7:1: bind[0].config.a must be a string, not an integer`},
		{"memory", head + "[limits]\nmemory = \"256MB\"", `4:1: limits.memory: "256MB" is not a size`},
		{"memory small", head + "[limits]\nmemory = 0", `4:1: limits.memory: "0" is out of range: 64KiB to 4GiB`},
		{"memory large", head + "[limits]\nmemory = \"5GiB\"", `4:1: limits.memory: "5GiB" is out of range`},
		{"memory overflow", head + "[limits]\nmemory = \"9223372036854775807GiB\"", `4:1: limits.memory: "9223372036854775807GiB" is out of range`},
		{"memory page", head + "[limits]\nmemory = \"65KiB\"", `4:1: limits.memory: "65KiB" is not a multiple of 64KiB`},
		{"memory type", head + "[limits]\nmemory = 1.5", `4:1: limits.memory must be a string or an integer, not a float`},
		{"timeout", head + "[limits]\ncall_timeout = 30", `4:1: limits.call_timeout: "30" is not a time`},
		{"timeout range", head + "[limits]\ncall_timeout = \"2h\"", `4:1: limits.call_timeout: "2h" is out of range`},
		{"queue", head + "[limits]\nqueue = -1", `4:1: limits.queue: -1 is out of range`},
		{"instances", head + "[limits]\ninstances = 0", `4:1: limits.instances: 0 is out of range: 1 to 65000`},
		{"total memory", head + "[limits]\ntotal_memory = \"1KiB\"", `4:1: limits.total_memory: "1KiB" is out of range`},
		{"body", head + "[limits]\nrequest_body = \"2GiB\"", `4:1: limits.request_body: "2GiB" is out of range`},
		{"several", head + "version = 1\n[dev]\nport = true\nprot = 1\n[limits]\nqueue = \"x\"",
			"3:1: version must be a string, not an integer\n5:1: dev.port must be an integer, not a boolean\n6:1: unknown key \"prot\" in [dev]: did you mean \"port\"?\n8:1: limits.queue must be an integer, not a string"},
		{"after strings", head + "version = '''\n[dev]\nport = 1 '\\''''\n[dev]\nport = true",
			"3:1: the version \"[dev]\\nport = 1 '\\\\'\" is not of the form \"1.2.3\" or \"1.2.3-rc.1\"\n7:1: dev.port must be an integer, not a boolean"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := Parse([]byte(test.text), "f")
			if err == nil {
				t.Fatalf("it was accepted: %+v", m)
			}
			lines := strings.Split(test.want, "\n")
			for i, line := range lines {
				lines[i] = "f:" + line
			}
			got, want := err.Error(), strings.Join(lines, "\n")
			if !strings.HasPrefix(got, want) || strings.Count(got, "\n") != strings.Count(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.File != "f" {
				t.Errorf("no *Error with a place in %#v", err)
			}
		})
	}
}

func TestVendorCapabilitiesAreFree(t *testing.T) {
	for _, c := range []string{"gpio:relay", "wascc:keyvalue", "Acme-1.x:Rocket_Skates"} {
		if _, err := Parse([]byte(head+"capabilities = [\""+c+"\"]"), "f"); err != nil {
			t.Error(err)
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "waxo.toml", "b") // a folder of that name does not count
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := Find(deep); !errors.Is(err, ErrNotFound) {
		t.Skipf("there is a manifest above the test's folder: %s, %v", path, err)
	}
	want := filepath.Join(root, FileName)
	if err := os.WriteFile(want, []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{deep, root} {
		if got, err := Find(dir); got != want || err != nil {
			t.Errorf("Find(%q) = %q, %v", dir, got, err)
		}
	}
	m, err := Load(want)
	if err != nil || m.Dir() != root {
		t.Errorf("Load = %+v, %v", m, err)
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, []byte(head+"#"+strings.Repeat("x", maxSize)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a large file: %v", err)
	}
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestApplyEnv(t *testing.T) {
	m, err := Parse([]byte(head+"[dev]\nport = 1\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	err = m.ApplyEnv(env(map[string]string{
		"WAXO_VERSION": "v2", "WAXO_DEV_PORT": "9", "WAXO_LIMITS_MEMORY": "1MiB", "WAXO_LIMITS_CALL_TIMEOUT": "2s",
		"WAXO_LIMITS_INSTANCES": "7", "WAXO_LIMITS_TOTAL_MEMORY": "6MiB", "WAXO_LIMITS_QUEUE": "3", "WAXO_LIMITS_REQUEST_BODY": "4", "WAXO_LIMITS_RESPONSE_BODY": "5KiB",
	}))
	want := Limits{Memory: 1 << 20, CallTimeout: 2 * time.Second, Instances: 7, TotalMemory: 6 << 20, Queue: 3, RequestBody: 4, ResponseBody: 5 << 10}
	if err != nil || m.Version != "v2" || m.Dev.Port != 9 || m.Limits != want {
		t.Errorf("got %+v, %v", m, err)
	}
	before := *m
	err = m.ApplyEnv(env(map[string]string{"WAXO_VERSION": "v3", "WAXO_DEV_PORT": "x", "WAXO_LIMITS_QUEUE": "-1"}))
	if err == nil || err.Error() != "WAXO_DEV_PORT: \"x\" is not a whole number\nWAXO_LIMITS_QUEUE: -1 is out of range: 0 to 1000000 are possible" {
		t.Errorf("got %v", err)
	}
	if !reflect.DeepEqual(*m, before) {
		t.Errorf("a failed override changed the manifest: %+v", m)
	}
	if err := m.ApplyEnv(env(map[string]string{"WAXO_DEV_PORT": ""})); err != nil || m.Dev.Port != 9 {
		t.Errorf("an empty variable: %v, port %d", err, m.Dev.Port)
	}
}

func TestExpand(t *testing.T) {
	m, err := Parse([]byte(full), "f")
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Binds[1].Expand(env(map[string]string{"REDIS_PASSWORD": "a${b}", "PREFIX": ""}))
	if err == nil || strings.Contains(err.Error(), "a${b}") {
		t.Errorf("a password that breaks the address: %v", err)
	}
	b, err = m.Binds[1].Expand(env(map[string]string{"REDIS_PASSWORD": "secret", "PREFIX": "p"}))
	want := map[string]string{"prefix": "p:", "plain": "${X} costs $5$$"}
	if err != nil || b.URL != "redis://:secret@127.0.0.1:6379/0" || !reflect.DeepEqual(b.Config, want) {
		t.Errorf("got %+v, %v", b, err)
	}
	if m.Binds[1].URL != "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0" || m.Binds[1].Config["prefix"] != "${PREFIX}:" {
		t.Errorf("Expand changed the manifest: %+v", m.Binds[1])
	}
	_, err = m.Binds[1].Expand(env(nil))
	if want := "f:26:1: the environment variable REDIS_PASSWORD is not set\nf:27:12: the environment variable PREFIX is not set"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestSources(t *testing.T) {
	tests := []struct{ text, include, exclude string }{
		{head, "**", "**/*_test.go"},
		{head + "[build]\nwatch = [\"**/*.go\", \"go.mod\"]", "**/*.go go.mod waxo.toml", ""},
		{"name=\"a\"\nlanguage=\"custom\"\nbuild = {command=[\"m\"], output=\"o/[a].wasm\"}", "**", `o/\[a].wasm`},
	}
	for _, test := range tests {
		m, err := Parse([]byte(test.text), "f")
		if err != nil {
			t.Fatal(err)
		}
		include, exclude := m.Sources()
		if strings.Join(include, " ") != test.include || strings.Join(exclude, " ") != test.exclude {
			t.Errorf("%q: %q, %q", test.text, include, exclude)
		}
	}
}

func TestDiff(t *testing.T) {
	base := "name = \"a\"\nlanguage = \"custom\"\nversion = \"1\"\ncapabilities = [\"a:b\", \"c:d\"]\n" +
		"build = {command=[\"m\"], output=\"o\", watch=[\"w\"]}\nlimits.queue = 1\n[dev]\nport = 1\n[[bind]]\ncapability = \"a:b\"\nconfig={k=\"v\"}\n"
	tests := []struct {
		old, new string
		want     Difference
	}{
		{"name", "name", Difference{}},
		{`["a:b", "c:d"]`, `["c:d", "a:b"]`, Difference{}},
		{`["a:b", "c:d"]`, `["a:b", "e:f"]`, Difference{Added: []string{"e:f"}, Removed: []string{"c:d"}, Resign: true}},
		{`name = "a"`, `name = "b"`, Difference{Resign: true}},
		{`version = "1"`, `version = "2"`, Difference{Resign: true}},
		{`"m"`, `"n"`, Difference{}},
		{`output="o"`, `output="p"`, Difference{Rewatch: true}},
		{`"w"`, `"x"`, Difference{Rewatch: true}},
		{`port = 1`, `port = 2`, Difference{}},
		{`queue = 1`, `queue = 2`, Difference{Relimit: true}},
		{`k="v"`, `k="w"`, Difference{}},
	}
	for _, test := range tests {
		older, err := Parse([]byte(base), "f")
		if err != nil {
			t.Fatal(err)
		}
		newer, err := Parse([]byte(strings.Replace(base, test.old, test.new, 1)), "f")
		if err != nil {
			t.Fatal(err)
		}
		got := Diff(older, newer)
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s -> %s:\ngot  %+v\nwant %+v", test.old, test.new, got, test.want)
		}
	}
}

// FuzzParse looks for texts that break the reader, and for mistakes without a
// place in the file.
func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(head + "\"quoted.key\" = 1\na.'b c'.d = [[1], {x=[\"\"]}]\n[[bind]]\n[bind.config]\n[[bind.x]]\n")
	f.Add("[ a . \"b\" ]\nx = \"\"\"\n\"\" \\\" \"\"\"\"\"\ny = ''''a'''''\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse([]byte(text), "f")
		if err == nil {
			if again := Diff(m, m); !reflect.DeepEqual(again, Difference{}) {
				t.Errorf("a manifest differs from itself: %+v", again)
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			if e := e.(*Error); e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
				t.Errorf("%q: a mistake without a place: %+v", text, e)
			}
		}
	})
}

func TestLocate(t *testing.T) {
	where := locate("a.b = [1,\n [2], {c = 3}]\n'q.r' = \"\"\"x\ny\"\"\"\n[t]\nk = 1\n[[u]]\n[[u]]\n[u.v]\nk = 2\n[[u.w]]\nk = '#'\nl = 1\n")
	var got []string
	for path, p := range where {
		got = append(got, fmt.Sprintf("%s %d:%d", path, p.line, p.column))
	}
	slices.Sort(got)
	want := []string{
		"a 1:1", "a.b 1:1", "a.b[0] 1:8", "a.b[1] 2:2", "a.b[1][0] 2:3", "a.b[2] 2:7", "a.b[2].c 2:8", "q.r 3:1",
		"t 5:2", "t.k 6:1", "u 7:3", "u[0] 7:3", "u[1] 8:3", "u[1].v 9:2", "u[1].v.k 10:1", "u[1].w 11:3",
		"u[1].w[0] 11:3", "u[1].w[0].k 12:1", "u[1].w[0].l 13:1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
