package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

const (
	secret     = `secret <script>alert("1")</script> & more`
	secretInfo = "stack: <b>main.go:7</b>"
)

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code   capability.Code
		status int
		retry  string
	}{
		{capability.CodeGuest, 500, ""},
		{capability.CodeTrap, 500, ""},
		{capability.CodeMemory, 500, ""},
		{capability.CodeDenied, 500, ""},
		{capability.CodeTooLarge, 500, ""},
		{capability.CodeInternal, 500, ""},
		{capability.CodeDeadline, 504, ""},
		{capability.CodeProvider, 502, ""},
		{capability.CodeOverloaded, 503, "1"},
		{capability.CodeUnavailable, 503, ""},
		{capability.CodeCanceled, 503, ""}, // by the host: the client is still there
	}
	for _, test := range tests {
		t.Run(string(test.code), func(t *testing.T) {
			t.Parallel()
			for _, development := range []bool{false, true} {
				s := open(t, fails(&capability.Error{Code: test.code, Message: secret, Detail: secretInfo}), Options{}, development)
				res, body := s.get(t, "/p")
				if res.StatusCode != test.status || res.Header.Get("Retry-After") != test.retry || res.Header.Get(BuildHeader) != "b7" {
					t.Errorf("got %d %v", res.StatusCode, res.Header)
				}
				if shown := strings.Contains(body, "secret") && strings.Contains(body, "stack") && strings.Contains(body, "b7"); shown != development {
					t.Errorf("development %t: %q", development, body)
				}
				if !development && (strings.Contains(body, "secret") || strings.Contains(body, "stack") || strings.Contains(body, string(test.code))) {
					t.Errorf("internals shown: %q", body)
				}
				if a := s.lastAccess(t); a.Status != test.status || a.Err == nil || a.Err.Code != test.code || a.Build != "b7" || a.BytesOut != int64(len(body)) {
					t.Errorf("access log: %+v", a)
				}
			}
		})
	}
}

// An error that is none of the contract's counts as internal.
func TestForeignError(t *testing.T) {
	t.Parallel()
	s := open(t, fails(errors.New("boom")), Options{}, false)
	if res, _ := s.get(t, "/"); res.StatusCode != 500 {
		t.Errorf("got %d", res.StatusCode)
	}
	if a := s.lastAccess(t); a.Err.Code != capability.CodeInternal {
		t.Errorf("access log: %+v", a)
	}
}

func TestDevelopmentPages(t *testing.T) {
	t.Parallel()
	s := open(t, fails(&capability.Error{Code: capability.CodeTrap, Message: secret, Detail: secretInfo}), Options{}, true)

	_, text := s.get(t, "/")
	if !strings.HasPrefix(text, "500 Internal Server Error\ntrap: "+secret+"\n\n"+secretInfo+"\n\nbuild: b7\nrequest: ") {
		t.Errorf("text: %q", text)
	}

	res, page := s.get(t, "/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if res.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page, "stack: &lt;b&gt;main.go:7") || !strings.Contains(page, "<code>trap</code>") {
		t.Errorf("page: %v %s", res.Header, page)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<b>") {
		t.Errorf("the page is not escaped: %s", page)
	}

	res, object := s.get(t, "/", "Accept", "application/json")
	var got map[string]any
	if err := json.Unmarshal([]byte(object), &got); err != nil || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("JSON: %v %v %s", err, res.Header, object)
	}
	if got["status"] != 500.0 || got["code"] != "trap" || got["message"] != secret || got["detail"] != secretInfo || got["build"] != "b7" || got["request"] == "" {
		t.Errorf("JSON: %s", object)
	}
}

func TestHeadOfError(t *testing.T) {
	t.Parallel()
	s := open(t, fails(&capability.Error{Code: capability.CodeGuest}), Options{}, true)
	answer := s.raw(t, "HEAD / HTTP/1.1\nHost: h\nConnection: close\n\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 500 ") || !strings.HasSuffix(answer, "\r\n\r\n") || !strings.Contains(answer, "\r\nContent-Length: ") {
		t.Errorf("got %q", answer)
	}
}

func TestPrefer(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                                    "text/plain",
		"*/*":                                 "text/plain",
		"image/png":                           "text/plain",
		"text/html":                           "text/html",
		"TEXT/HTML":                           "text/html",
		"text/*":                              "text/plain",
		"text/html, */*;q=0.1":                "text/html",
		"text/html;q=0.4, text/plain;q=0.5":   "text/plain",
		"application/json, text/plain, */*":   "application/json",
		"text/plain, application/json":        "text/plain",
		"application/*, text/html;level=1":    "text/html",
		"application/json;q=0.9,text/*;q=1":   "text/plain",
		"text/html;q=0, */*":                  "text/plain",
		"text/html;q=NaN, application/json":   "application/json",
		"text/plain;q=0, application/*;q=0.1": "application/json",
		";;,,q=,/;q":                          "text/plain",
	} {
		if got := prefer([]string{accept}, "text/plain", "text/html", "application/json"); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
	if got := prefer([]string{"text/html;q=0.5", "application/json"}, "text/plain", "text/html", "application/json"); got != "application/json" {
		t.Errorf("two headers: %s", got)
	}
}

// logLines collects the records of a logger.
type logLines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *logLines) take(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []map[string]any
	for d := json.NewDecoder(&l.Buffer); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLog(t *testing.T) {
	t.Parallel()
	var log logLines
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s := open(t, dispatch(func(_ context.Context, _ string, payload []byte) (capability.Reply, error) {
		if bytes.Contains(payload, []byte("/fail")) {
			return capability.Reply{}, &capability.Error{Code: capability.CodeTrap, Message: "crash\nforged line", Detail: secretInfo}
		}
		return capability.Reply{}, nil
	}), Options{Logger: logger, MaxBody: 1}, false)

	s.get(t, "/fine")
	s.lastAccess(t)
	if lines := log.take(t); len(lines) != 0 {
		t.Errorf("a success was logged: %v", lines)
	}
	_, body := s.get(t, "/fail")
	s.lastAccess(t)
	lines := log.take(t)
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["method"] != "GET" || lines[0]["path"] != "/fail" || lines[0]["code"] != "trap" || lines[0]["detail"] != secretInfo {
		t.Fatalf("log: %v", lines)
	}
	if id, _ := lines[0]["request"].(string); id == "" || !strings.Contains(body, id) {
		t.Errorf("the request ID %q of the log is not in %q", id, body)
	}
	res, err := s.client.Post("http://"+s.addr+"/large", "a/b", strings.NewReader("ab"))
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("%v %v", err, res)
	}
	_ = res.Body.Close()
	s.lastAccess(t)
	if lines := log.take(t); len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["code"] != "too_large" {
		t.Errorf("log: %v", lines)
	}
}

func TestBuildOfSuccess(t *testing.T) {
	t.Parallel()
	s := open(t, dispatch(func(context.Context, string, []byte) (capability.Reply, error) {
		return capability.Reply{Build: "b8", Payload: (&httppb.Response{Header: map[string]string{BuildHeader: "forged"}}).AppendProto(nil)}, nil
	}), Options{}, true)
	if res, _ := s.get(t, "/"); len(res.Header.Values(BuildHeader)) != 1 || res.Header.Get(BuildHeader) != "b8" {
		t.Errorf("got %v", res.Header)
	}
	if a := s.lastAccess(t); a.Build != "b8" || a.Status != 200 || a.Err != nil || a.Method != "GET" || a.Path != "/" || a.Duration <= 0 {
		t.Errorf("access log: %+v", a)
	}
}
