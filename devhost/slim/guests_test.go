package slim_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/testscripts/guests"
)

func sealed(t testing.TB, module []byte) []byte {
	t.Helper()
	module, _, err := seal.Seal(module, nil)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// The Go guest of package seal uses what a Go program has of a system: clocks,
// timers, goroutines, random numbers, maps, output, panics and exits.
func TestGoGuest(t *testing.T) {
	t.Parallel()
	module := sealed(t, buildGo(t, "../seal/testdata/guest"))
	large := strings.Repeat("0123456789abcdef", 256<<10/16)
	conversation := []exchange{
		{"echo", "hello"}, {"echo", ""}, {"no such operation", ""}, {"now", ""}, {"sleep", ""}, {"goroutines", ""},
		{"timers", ""}, {"open", ""}, {"stdin", ""}, {"recover", "oh"}, {"print", "a line\nand "},
		{"print", "another\n"}, {"eprint", "to stderr\n"}, {"process", ""}, {"rand", ""}, {"map", ""}, {"memory", ""},
		{"echo", large}, {"print", "half a line"}, {"panic", "what now"},
		{"rand", ""}, {"map", ""}, {"exit", ""}, {"print", "half a line"}, {"deadlock", ""},
	}
	for i := range 25 {
		conversation = append(conversation, exchange{"echo", large[:i*8000]}, exchange{"rand", ""})
	}
	sameConversation(t, module, conversation, noAnswer)
	if _, r := slimmed(t, module, slim.Snapshot); !r.Done {
		t.Errorf("no snapshot: %s", r.Detail)
	}
}

// requests are HTTP requests as a host hands them to a guest.
func requests(operation string) []exchange {
	var all []exchange
	for i, r := range []httppb.Request{
		{Method: "GET", Path: "/"},
		{Method: "POST", Path: "/", Body: []byte("one")},
		{Method: "POST", Path: "/", Header: map[string]string{"X-Large": strings.Repeat("x", 100<<10)}},
		{Method: "GET", Path: "/hello", QueryString: "name=you"},
		{Method: "PUT", Path: "/nowhere"},
		{Method: "POST", Path: "/", Body: []byte(`{"name": "json"}`)},
		{},
	} {
		all = append(all, exchange{operation, string(r.AppendProto(nil))})
		if i%2 == 0 {
			all = append(all, exchange{operation, "\xff\xff no payload"})
		}
	}
	return append(all, exchange{"wascap:core!HealthRequest", ""}, exchange{"nobody!Knows", "\x00"})
}

// store answers every host call as a key-value store would that counts, fails
// now and then, or talks nonsense.
func store(n int) (string, error) {
	switch n % 5 {
	case 0:
		return "", errors.New("the store is out of order")
	case 3:
		return "\xff\xff\xff\xff", nil
	}
	if n%2 == 0 {
		m := keyvaluepb.GetResponse{Value: fmt.Sprint(n), Exists: true}
		return string(m.AppendProto(nil)), nil
	}
	m := keyvaluepb.AddResponse{Value: int32(n)}
	return string(m.AppendProto(nil)), nil
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	var conversation []exchange
	for range 4 {
		conversation = append(conversation, requests("wascap:httpserver!HandleRequest")...)
	}
	for _, name := range []string{"kvcounter", "http"} {
		t.Run(name, func(t *testing.T) {
			module := sealed(t, buildGo(t, "../../templates/"+name))
			sameConversation(t, module, conversation, store)
			transcript := strings.Join(talk(t, module, conversation, store), "\n")
			if !strings.Contains(transcript, "__guest_response") || strings.Contains(transcript, "traps") ||
				name == "kvcounter" && !strings.Contains(transcript, "__host_call") {
				t.Errorf("this is no conversation: %.2000s", transcript)
			}
			if _, r := slimmed(t, module, slim.Snapshot); !r.Done {
				t.Errorf("no snapshot: %s", r.Detail)
			}
			if _, r := slimmed(t, module, slim.Merge); !r.Done || !strings.Contains(r.Detail, "data segments became") {
				t.Errorf("not merged: %s", r.Detail)
			}
		})
	}
}

func TestRustGuest(t *testing.T) {
	t.Parallel()
	module := guests.WaxosuitRust(t)
	sameConversation(t, module, append(requests("wascap:httpserver!HandleRequest"), requests("wascap:httpserver!HandleRequest")...), store)
}

func TestCGuest(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/include/wasm32-wasi"); err != nil {
		missing(t, "wasi-libc: %v", err)
	}
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, "%s: %v", tool, err)
		}
	}
	for _, optimization := range []string{"-O0", "-Os"} {
		out := filepath.Join(t.TempDir(), "guest.wasm")
		run(t, exec.Command("clang", "--target=wasm32-wasi", "-mexec-model=reactor", optimization, "-g",
			"-Wl,--export-all", "-o", out, "../seal/testdata/guest.c"))
		module := sealed(t, readFile(t, out))
		sameConversation(t, module, []exchange{
			{"print", "world"}, {"sleep", ""}, {"open", ""}, {"terminal", ""}, {"random", ""}, {"random", ""},
			{"sort", "wasm"}, {"exit", ""}, {"print", "again"}, {"random", ""},
		}, noAnswer)
		for _, step := range []slim.Step{slim.Snapshot, slim.Dead} {
			if _, r := slimmed(t, module, step); !r.Done || step == slim.Dead && r.Saved < 1000 {
				t.Errorf("%s: %+v", step, r)
			}
		}
	}
}
