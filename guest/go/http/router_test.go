package http_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	stdhttp "net/http"

	"github.com/waxosuit/waxo/guest/go/http"
)

func router(patterns ...string) *http.Router {
	var rt http.Router
	for _, p := range patterns {
		rt.Handle(p, func(r *http.Request) (*http.Response, error) {
			return http.Text(200, p+" "+r.PathValue("a")+" "+r.PathValue("b")), nil
		})
	}
	return &rt
}

func TestRouter(t *testing.T) {
	rt := router("GET /", "POST /", "/any", "GET /any", "GET /items/{a}", "DELETE /items/{a}", "GET /items/new",
		"GET /items/{a}/parts/{b}", "GET /files/{a...}", "GET /files/{a}/raw", "GET /café", "HEAD /own", "GET /own", "GET /trailing/")
	for _, test := range []struct {
		method, path string
		status       int
		want         string // the pattern and its values, or the header Allow
	}{
		{"GET", "/", 200, "GET /  "},
		{"GET", "", 200, "GET /  "},
		{"POST", "/", 200, "POST /  "},
		{"PUT", "/", 405, "GET, HEAD, POST"},
		{"GET", "/any", 200, "GET /any  "},
		{"PUT", "/any", 200, "/any  "},
		{"GET", "/items/1", 200, "GET /items/{a} 1 "},
		{"GET", "/items/new", 200, "GET /items/new  "},
		{"DELETE", "/items/new", 200, "DELETE /items/{a} new "},
		{"PATCH", "/items/new", 405, "DELETE, GET, HEAD"},
		{"GET", "/items/a%2Fb", 200, "GET /items/{a} a/b "},
		{"GET", "/items/%C3%A4+", 200, "GET /items/{a} ä+ "},
		{"GET", "/items/", 404, ""},
		{"GET", "/items", 404, ""},
		{"GET", "/items/1/", 404, ""},
		{"GET", "/items/1/parts/2", 200, "GET /items/{a}/parts/{b} 1 2"},
		{"GET", "/files", 404, ""},
		{"GET", "/files/", 200, "GET /files/{a...}  "},
		{"GET", "/files/x/y%20z", 200, "GET /files/{a...} x/y z "},
		{"GET", "/files/x/raw", 200, "GET /files/{a}/raw x "},
		{"GET", "/caf%C3%A9", 200, "GET /café  "},
		{"GET", "/caf%c3%a9", 200, "GET /café  "},
		{"GET", "/%69tems/1", 200, "GET /items/{a} 1 "},
		{"GET", "/items/%", 400, ""},
		{"GET", "/items/%4", 400, ""},
		{"GET", "/items/%zz", 400, ""},
		{"get", "/", 405, "GET, HEAD, POST"},
		{"GET", "//", 404, ""},
		{"GET", "/trailing/", 200, "GET /trailing/  "},
		{"GET", "/trailing", 404, ""},
	} {
		resp, err := rt.Serve(&http.Request{Method: test.method, Path: test.path})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		switch resp.Status {
		case 200:
			got = string(resp.Body)
		case 405:
			got = resp.Header.Get("Allow")
		}
		if resp.Status != test.status || got != test.want {
			t.Errorf("%s %s = %d %q, want %d %q", test.method, test.path, resp.Status, got, test.status, test.want)
		}
	}
}

func TestHead(t *testing.T) {
	rt := router("GET /", "HEAD /own", "GET /own")
	resp, _ := rt.Serve(&http.Request{Method: "HEAD", Path: "/"})
	if resp.Status != 200 || len(resp.Body) != 0 || resp.Header.Get("Content-Length") != "7" || resp.Header.Get("Content-Type") == "" {
		t.Errorf("HEAD by GET = %+v", resp)
	}
	resp, _ = rt.Serve(&http.Request{Method: "HEAD", Path: "/own"})
	if string(resp.Body) != "HEAD /own  " {
		t.Errorf("a handler for HEAD was passed over: %s", resp.Body)
	}
}

func TestPatternsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                     "no path that starts with a slash",
		"GET":                  "no path that starts with a slash",
		"items":                "no path that starts with a slash",
		"GET  /":               "no path that starts with a slash",
		"get /":                "does not start with a method",
		"G(T /":                "does not start with a method",
		" /":                   "does not start with a method",
		"GET /a b":             "with a space",
		"GET /a?b":             "with a space, a query",
		"GET /%41":             "paths are written decoded",
		"GET /{}":              "neither plain text nor {name}",
		"GET /{a":              "neither plain text nor {name}",
		"GET /a}":              "neither plain text nor {name}",
		"GET /x{a}":            "neither plain text nor {name}",
		"GET /{a b}":           "with a space",
		"GET /{a-b}":           "neither plain text nor {name}",
		"GET /{a}/{a}":         "names {a} twice",
		"GET /{a...}/b":        "goes on after {a...}",
		"GET /x/{other}":       "matches what an earlier one matches",
		"GET /same":            "matches what an earlier one matches",
		"GET /rest/{other...}": "matches what an earlier one matches",
	} {
		mustPanic(t, want, func() {
			router("GET /x/{a}", "GET /same", "GET /rest/{a...}", pattern)
		})
	}
}

// FuzzRouter holds the router to net/http's on the patterns where both promise the
// same. net/http redirects what it calls unclean paths, and /r to /r/; those are
// passed over.
func FuzzRouter(f *testing.F) {
	patterns := []string{"GET /a", "POST /a", "GET /a/{a}", "GET /a/b", "/a/{a}/c", "GET /r/{a...}", "GET /r/{a}/c"}
	ours := router(patterns...)
	theirs := stdhttp.NewServeMux()
	for _, p := range patterns {
		theirs.HandleFunc(p, func(w stdhttp.ResponseWriter, r *stdhttp.Request) {
			w.Write([]byte(p + " " + r.PathValue("a") + " "))
		})
	}
	for _, path := range []string{"/a", "/a/b", "/a/x/c", "/r/", "/r/x/c", "/r/x%2Fc", "/a/%20", "/a/%C3%A4", "/x", "/a/b/c"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
			f.Add(method, path)
		}
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		req, err := stdhttp.NewRequest(method, "http://host"+path, nil)
		if err != nil || method == "" || method == "CONNECT" || path == "/r" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || req.URL.EscapedPath() != path {
			t.Skip()
		}
		rec := httptest.NewRecorder()
		theirs.ServeHTTP(rec, req)
		if rec.Code >= 300 && rec.Code < 400 {
			t.Skip()
		}
		resp, err := ours.Serve(&http.Request{Method: method, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Status != rec.Code {
			t.Errorf("%s %s = %d, net/http %d", method, path, resp.Status, rec.Code)
		}
		if rec.Code == 200 && method != "HEAD" && string(resp.Body) != rec.Body.String() {
			t.Errorf("%s %s = %q, net/http %q", method, path, resp.Body, rec.Body)
		}
		if rec.Code == 405 && resp.Header.Get("Allow") != rec.Header().Get("Allow") {
			t.Errorf("%s %s allows %q, net/http %q", method, path, resp.Header.Get("Allow"), rec.Header().Get("Allow"))
		}
	})
}
