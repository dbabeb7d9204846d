package waxotest_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/extras"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func init() {
	http.Handle(func(r *http.Request) (*http.Response, error) {
		if r.Path == "/panic" {
			panic("at the disco")
		}
		return http.Text(200, r.Method+" "+r.Path+" "+r.RawQuery+" "+string(r.Body)), nil
	})
}

func TestDo(t *testing.T) {
	h := waxotest.New(t)
	if resp := h.Do("POST", "/a?b=c", "body"); resp.Status != 200 || resp.Body != "POST /a b=c body" || resp.Err != nil {
		t.Error(resp)
	}
	if resp := h.Do("HEAD", "/a", ""); resp.Body != "" {
		t.Error("a client does not see the body of the answer to a HEAD")
	}
	resp := h.Do("GET", "/panic", "")
	if resp.Status != 500 || !errors.Is(resp.Err, waxo.ErrGuest) || !strings.Contains(resp.String(), "panic: at the disco") {
		t.Error(resp)
	}
	if !slices.ContainsFunc(h.Console(), func(line string) bool { return strings.Contains(line, "waxotest_test.go:") }) {
		t.Errorf("the console has no stack: %q", h.Console())
	}
}

func TestClock(t *testing.T) {
	h := waxotest.New(t)
	h.Grant(clock.Capability)
	now := func() time.Time {
		n, err := clock.Now()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := now(); !got.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) || got.Location() != time.UTC {
		t.Errorf("the clock starts at %v", got)
	}
	h.SetTime(time.Unix(1, 5))
	h.Advance(time.Second)
	if got := now(); got.UnixNano() != 2e9+5 {
		t.Errorf("the clock tells %v", got)
	}
}

func TestExtras(t *testing.T) {
	guids := func(t *testing.T) []string {
		waxotest.New(t).Grant(extras.Capability)
		var all []string
		for range 100 {
			guid, err := extras.GUID()
			if err != nil || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(guid) {
				t.Fatalf("guid %q, %v", guid, err)
			}
			if slices.Contains(all, guid) {
				t.Fatal("a guid came twice")
			}
			all = append(all, guid)
		}
		return all
	}
	var first, second []string
	t.Run("first", func(t *testing.T) { first = guids(t) })
	t.Run("second", func(t *testing.T) { second = guids(t) })
	if !slices.Equal(first, second) {
		t.Error("two hosts give different numbers")
	}
	t.Run("numbers", func(t *testing.T) {
		waxotest.New(t).Grant(extras.Capability)
		for i := range uint64(3) {
			if n, err := extras.Sequence(); n != i || err != nil {
				t.Errorf("sequence %d is %d, %v", i, n, err)
			}
		}
		seen := make(map[uint32]bool)
		for range 200 {
			n, err := extras.Random(5, 8)
			if err != nil {
				t.Fatal(err)
			}
			seen[n] = true
		}
		if len(seen) != 3 || !seen[5] || !seen[6] || !seen[7] {
			t.Errorf("random numbers from 5 to 7: %v", seen)
		}
		if _, err := extras.Random(5, 5); !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("a random number of none = %v", err)
		}
	})
}

func TestLog(t *testing.T) {
	h := waxotest.New(t)
	h.Grant(log.Capability)
	log.Error("1")
	log.Warn("2")
	log.Info("3")
	log.Debug("4")
	log.Trace("5")
	want := []waxotest.Entry{{"error", "1"}, {"warn", "2"}, {"info", "3"}, {"debug", "4"}, {"trace", "5"}}
	if got := h.Logs(); !slices.Equal(got, want) {
		t.Errorf("logs = %v", got)
	}
	h.Grant()
	log.Info("6")
	log.Console("7")
	lines := h.Console()
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "info: 6 (not logged: denied: ") || lines[1] != "7" {
		t.Errorf("console = %q", lines)
	}
}

func TestGrants(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o777); err != nil {
		t.Fatal(err)
	}
	manifest := "name = \"x\"\ncapabilities = [ # those\n  'waxo:clock', \"wascap:extras\",\n]\n[dev]\nport = 1\n"
	if err := os.WriteFile(filepath.Join(dir, "waxo.toml"), []byte(manifest), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	h := waxotest.New(t)
	if _, err := clock.Now(); err != nil {
		t.Error(err)
	}
	if _, err := extras.GUID(); err != nil {
		t.Error(err)
	}
	err := kv.Set("a", "1")
	if !errors.Is(err, waxo.ErrDenied) || !strings.Contains(err.Error(), `"wascap:keyvalue"`) || !strings.Contains(err.Error(), "waxo.toml") {
		t.Errorf("a denial = %v", err)
	}
	h.Grant(kv.Capability)
	if err := kv.Set("a", "1"); err != nil {
		t.Error(err)
	}
	if _, err := clock.Now(); !errors.Is(err, waxo.ErrDenied) {
		t.Errorf("Grant did not take the place of the manifest: %v", err)
	}
	h.Fail(kv.Capability, &waxo.Error{Code: "overloaded", Message: "wait"})
	if err := kv.Set("a", "1"); !errors.Is(err, waxo.ErrOverloaded) {
		t.Errorf("Fail = %v", err)
	}
	h.Fail(kv.Capability, nil)
	if err := kv.Set("a", "1"); err != nil {
		t.Error(err)
	}
}

// fatal is a testing.TB that notes that it failed.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Fatal(args ...any) {
	f.text = args[len(args)-1].(string)
	panic(f)
}

// failure returns the text with which New fails.
func failure(t testing.TB) (text string) {
	f := &fatal{TB: t}
	defer func() {
		if v := recover(); v != nil && v != f {
			panic(v)
		}
		text = f.text
	}()
	waxotest.New(f)
	return ""
}

func TestTwoHosts(t *testing.T) {
	waxotest.New(t)
	if text := failure(t); !strings.Contains(text, "another test has a host") {
		t.Errorf("a second host = %q", text)
	}
}

func TestParallel(t *testing.T) {
	t.Parallel()
	if text := failure(t); !strings.Contains(text, "runs in parallel") {
		t.Errorf("a host in a parallel test = %q", text)
	}
}
