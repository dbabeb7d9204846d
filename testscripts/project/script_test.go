package project_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/report"
)

// TestFailures: a script that fails says what was expected and what was seen.
func TestFailures(t *testing.T) {
	texts := make(map[string]string)
	want := make(map[string]string)
	for line, message := range map[string]string{
		"http GET /\nstatus 404":                         "the status is 200 OK, not 404",
		"http GET /\nstatus ok":                          `"ok" is no status; usage: status CODE`,
		"status 200":                                     "there is no response yet: http comes first",
		"! http GET /":                                   "it succeeded, and was to fail",
		"http GET /nowhere":                              `GET /nowhere is answered with 404 Not Found: "not found`,
		"http GET nowhere":                               `the path "nowhere" does not begin with /`,
		"http GET":                                       "there are 1 arguments; usage: http [-H",
		"http -H x GET /":                                `"x" is no header: write -H 'Name: value'`,
		"http GET /\nheader location":                    "the response has no header Location",
		"http GET /\nheader X-VERSION 2":                 "the header X-Version is 1, not 2",
		"http GET /\nheader x-version ~ ^2$":             "the header X-Version is 1, which does not match ^2$",
		"http GET /\n! header x-version 1":               "it is so, and was not to be",
		"http GET /\njson .count 1":                      ".count is 0, not 1",
		"http GET /\njson .count.x":                      ".count is a number, not an object",
		"http GET /\njson .x":                            ". has no x; it has by, count",
		"http GET /\njson .count ~ (":                    "missing closing )",
		"http GET /\njson .count is 0":                   "write nothing, a value, or ~ and a regular expression",
		"http GET /away\njson .":                         "stdout is no JSON",
		"call wascap:http_server Handle":                 "there are HandleRequest; usage: call CAPABILITY",
		"call wascap:keyvalue Get '{\"key\":\"a\"}'":     "there are none",
		"call core HealthRequest '{\"a\":1}'":            `there is no field "a"`,
		"provider wascap:keyvalue Get '{\"kee\":\"a\"}'": `there is no field "kee"; there are: key`,
		"provider wascap:keyvalue/other Get":             "the guest has no wascap:keyvalue/other; it has wascap:keyvalue, ",
		"kv get nothing":                                 `there is no key "nothing"`,
		"kv set a":                                       "kv set has 1 arguments",
		"kv frob a":                                      `"frob" is none of add, del, get`,
		"kv set a @absent":                               "absent: no such file",
		"kv set a b\nkv add a 1":                         "wrong_kind",
		"blob get box none":                              "not_found",
		"blob info box none":                             "none",
		"await jobs.done":                                "put `listen jobs.done` before",
		"listen jobs.done\nawait jobs.done 20ms":         "no message of jobs.done came within 20ms; no other came",
		"listen jobs.>\npublish jobs.new a\nawait jobs.done\n! await jobs.*": "it succeeded, and was to fail",
		"request jobs.nobody":                                 "nobody subscribes",
		"listen a..b":                                         "a..b",
		"claims +wascap:nonsense":                             "nonsense",
		"claims -wascap:http_client":                          "wascap:http_client is not claimed",
		"claims expired=1h":                                   `"expired" is none of expires`,
		"claims expires=soon":                                 `"soon" is no time such as`,
		"start\nstart":                                        "a guest runs already",
		"halt":                                                "no guest runs",
		"mutate flip 100000000":                               "none at 100000000",
		"mutate cut -1":                                       "-1 cannot be cut off",
		"mutate frob 1":                                       "none of flip, cut and append",
		"mutate append 00\nstart":                             "wascap: verify:",
		"save a\nload b":                                      "no such file",
		"fault wascap:keyvalue":                               "nothing goes wrong: give latency",
		"fault wascap:keyvalue eror=unavailable":              `"eror" is none of latency`,
		"fault wascap:keyvalue latency":                       "write latency=VALUE",
		"fault wascap:http_client cut":                        "no provider of wascap:http_client is bound",
		"fault clear wascap:keyvalue":                         "nothing goes wrong there",
		"clock tomorrow":                                      `"tomorrow" is no time such as`,
		"clock +soon":                                         `"+soon" is no duration`,
		"log counted":                                         "nothing was logged",
		"http POST /\nlog ^error":                             "counted to 1",
		"http POST /\n! log 'counted to 1'":                   "it is so, and was not to be",
		"eventually 50ms http GET / -- json .count 1":         "not within 50ms; try ",
		"eventually 50ms exec true":                           `"exec" is no command that can be repeated`,
		"eventually 1m http GET / -- status":                  "status: there are 0 arguments; usage: status CODE",
		"eventually 0s http GET /":                            `"0s" is no duration`,
		"eventually 50ms log clear -- stdout nothing":         "no match for",
		"eventually 1m http GET / --":                         "",
		"build v2\n-- v2/version.go --\npackage main; syntax": "syntax error",
		"! http GET":                                          "there are 1 arguments",
		"! kv frob a":                                         "none of add",
		"! eventually 1s frob":                                `"frob" is no command that can be repeated`,
		"build v2":                                            "no such file",
	} {
		name := "s" + string(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(line, "-"))
		texts[name], want[name] = line+"\n", message
	}
	checks := run(t, texts)
	if len(checks) != len(texts) {
		t.Errorf("%d checks of %d", len(checks), len(texts))
	}
	for name, c := range checks {
		if want[name] == "" {
			if c.Status != report.Pass {
				t.Errorf("%s: %s", name, c.Message)
			}
		} else if c.Status != report.Fail || !strings.Contains(c.Log, want[name]) {
			t.Errorf("%s\nwant %s\nis %s %s", texts[name], want[name], c.Status, c.Log)
		}
	}
}

// TestScriptsAreApart: what one script stores, another one does not see, and each has
// its own clock, claims and faults.
func TestScriptsAreApart(t *testing.T) {
	texts := make(map[string]string)
	for _, name := range []string{"a", "b", "c", "d"} {
		texts[name] = "clock +1h\nclaims expires=10m -wascap:eventstreams\nhttp POST /\nhttp POST /\njson .count 2\n" +
			"kv set name " + name + "\nfault wascap:keyvalue error=unavailable\n! http GET /\nfault clear\nhttp GET /\nkv get name\nstdout ^" + name + "$\n"
		texts["other-"+name] = "! kv get name\nhttp GET /\njson .count 0\nevents read s\n! log 'fault of'\n"
	}
	for name, c := range run(t, texts) {
		if c.Status != report.Pass {
			t.Errorf("%s: %s\n%s", name, c.Message, c.Log)
		}
	}
}

// TestWhatStays: stores outlive the guest, and what is brought to it comes after a
// restart, too.
func TestWhatStays(t *testing.T) {
	for name, c := range run(t, map[string]string{
		"stores": `
kv set count 5
kv sadd colours red blue
kv members colours
json [0] blue
kv add n 3
stdout '^3$'
blob create box
blob put box a @file
blob get box a copy
cmp copy file
blob get box a
cmp stdout file
blob info box a
json .size 11
blob remove box a
! blob info box a
events write orders id=1
events read orders 1
json [0].stream orders
restart
http POST /
json .count 6
blob list box
json .# 0
events read orders
json .# 1
kv del count
http GET /
json .count 0
http -H 'Content-Type: text/x' POST / @file
stdout '^text/x'
http GET /away
status 302
http GET /healthz
json .status healthy
-- file --
some
bytes
`,
		"messages": `
listen jobs.done
publish jobs.new first
await jobs.done
stdout '^first$'
! await jobs.done
restart
publish jobs.new second
eventually 10s kv get done -- stdout second
await jobs.>
stdout second
fault wascap:messaging error=unavailable
publish jobs.new third
! await jobs.done 50ms
`,
		"addresses": `
env before=$WAXO_URL
start
env one=$WAXO_URL
restart
kv get x
`,
		"needs":   "# Needs: container\n",
		"lacks":   "# Needs: wascap:http_client\n",
		"has":     "# Needs: embedded, wascap:keyvalue\n[container] kv gett\n[embedded] kv set a b\n",
		"denied":  "claims -wascap:keyvalue\n! http GET /\nstatus 500\nstderr denied\nlog 'denied capability=wascap:keyvalue'\n",
		"tampers": "mutate flip -300\n! start\nstderr 'wascap: verify'\nclaims +wascap:http_client\nstart\n",
	}) {
		switch {
		case name == "addresses":
			if c.Status != report.Fail || !strings.Contains(c.Message, "no key") {
				t.Errorf("%s: %s", name, c.Log)
			}
		case name == "needs" || name == "lacks":
			if c.Status != report.Skip || c.Message == "" {
				t.Errorf("%s: %s %s", name, c.Status, c.Message)
			}
		case c.Status != report.Pass:
			t.Errorf("%s: %s\n%s", name, c.Message, c.Log)
		}
	}
}

// TestTimeout: a script that waits for too long says so, and where.
func TestTimeout(t *testing.T) {
	guest, engine := theJobs(t)
	r, err := project.Run(t.Context(), &project.Options{
		Guest: guest, Stand: &project.StandOptions{Engine: engine}, Timeout: 2 * time.Second,
		Scripts: parse(t, map[string]string{"slow": "listen a\n\nawait a 1h\n"}),
	})
	must(t, err)
	c := r.Checks[0]
	if c.Status != report.Fail || c.Line != 3 || !strings.Contains(c.Message, "the script's time is over") {
		t.Errorf("%+v", c)
	}
}

func TestUpdateRewritesGoldens(t *testing.T) {
	guest, engine := theJobs(t)
	file := filepath.Join(t.TempDir(), "golden.txtar")
	must(t, os.WriteFile(file, []byte("http GET /\ncmp stdout want.json\n-- want.json --\n{}\n"), 0o600))
	scripts, err := project.Find("", []string{file})
	must(t, err)
	opts := &project.Options{Guest: guest, Stand: &project.StandOptions{Engine: engine}, Scripts: scripts}
	for _, update := range []bool{false, true, false} {
		opts.Update = update
		r, err := project.Run(t.Context(), opts)
		must(t, err)
		after, err := os.ReadFile(file)
		must(t, err)
		updated := strings.HasSuffix(string(after), "-- want.json --\n{\n  \"by\": \"jobs\",\n  \"count\": 0\n}\n")
		if first := opts.Scripts[0].Data != nil && !update && r.Checks[0].Status == report.Fail; first == updated {
			t.Errorf("update %v: %s, and the script is %s", update, r.Checks[0].Status, after)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if _, err := project.Find(dir, nil); !errors.Is(err, project.ErrNoScripts) || !strings.Contains(err.Error(), "testscripts/first.txtar:\n\n    # The guest") {
		t.Errorf("without scripts: %v", err)
	}
	must(t, os.MkdirAll(filepath.Join(dir, "testscripts", "more"), 0o700))
	for name, text := range map[string]string{"b": "# B.\n", "a": "# A.\n", "more/a": ""} {
		must(t, os.WriteFile(filepath.Join(dir, "testscripts", name+".txtar"), []byte(text), 0o600))
	}
	found, err := project.Find(dir, nil)
	must(t, err)
	if len(found) != 2 || found[0].Title != "A." || found[1].Path != filepath.Join(dir, "testscripts", "b.txtar") {
		t.Errorf("found %+v", found)
	}
	files := []string{found[0].Path, filepath.Join(dir, "testscripts", "more", "a.txtar")}
	if _, err := project.Find(dir, files); err == nil || !strings.Contains(err.Error(), "two scripts are called a") {
		t.Errorf("two of one name: %v", err)
	}
	if _, err := project.Find(dir, []string{filepath.Join(dir, "absent.txtar")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent one: %v", err)
	}
}
