package http_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// handler is what the one handler of this guest does.
var handler http.Handler

func init() {
	http.Handle(func(r *http.Request) (*http.Response, error) { return handler(r) })
}

func Example() {
	var r http.Router
	r.Handle("GET /hello/{name}", func(r *http.Request) (*http.Response, error) {
		return http.Text(200, "Hello, "+r.PathValue("name")+"!"), nil
	})
	// In a guest: func init() { http.Handle(r.Serve) }
	resp, _ := r.Serve(&http.Request{Method: "GET", Path: "/hello/Ada"})
	fmt.Println(resp.Status, string(resp.Body))
	// Output: 200 Hello, Ada!
}

func TestRequest(t *testing.T) {
	h := waxotest.New(t)
	handler = func(r *http.Request) (*http.Response, error) {
		if r.Method != "PATCH" || r.Path != "/a%20b" || r.RawQuery != "x=1&x=2&y=%C3%A4+b&&%zz=1&z" || string(r.Body) != "body" {
			t.Errorf("request = %+v", r)
		}
		if r.Header.Get("X-ONE") != "1" || r.Header.Get("x-two") != "zwei ä" || r.Header.Get("absent") != "" {
			t.Errorf("header = %+v", r.Header)
		}
		q := r.Query()
		if !slices.Equal(q["x"], []string{"1", "2"}) || q.Get("x") != "1" || q.Get("y") != "ä b" || !q.Has("z") || q.Has("absent") || len(q) != 3 {
			t.Errorf("query = %v", q)
		}
		return &http.Response{}, nil
	}
	resp := h.Send(waxotest.Request{Method: "PATCH", Target: "/a%20b?x=1&x=2&y=%C3%A4+b&&%zz=1&z", Body: "body",
		Header: map[string]string{"x-One": "1", "X-Two": "zwei ä"}})
	if resp.Status != 200 || resp.Body != "" || resp.Err != nil {
		t.Error(resp)
	}
}

// TestRequestEnds has tests see what a guest would see: a request is no more once
// its handler has returned.
func TestRequestEnds(t *testing.T) {
	h := waxotest.New(t)
	var kept *http.Request
	handler = func(r *http.Request) (*http.Response, error) {
		kept = r
		return http.Text(200, ""), nil
	}
	h.Do("GET", "/path", "body")
	if kept.Path != "" || kept.Body != nil {
		t.Errorf("after the handler returned the request is %v", kept)
	}
}

func TestForm(t *testing.T) {
	const kind = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		kind, body string
		want       http.Values
	}{
		{kind, "a=1&b=%26+%2B&a=", http.Values{"a": {"1", ""}, "b": {"& +"}}},
		{"Application/X-WWW-Form-Urlencoded ; charset=utf-8", "a=1", http.Values{"a": {"1"}}},
		{kind, "", http.Values{}},
		{kind, "a=%4", nil},
		{kind, "a=%g0", nil},
		{kind, "a=1;b=2", nil},
		{"text/plain", "a=1", nil},
		{"", "a=1", nil},
	} {
		r := &http.Request{Body: []byte(test.body)}
		r.Header.Set("content-type", test.kind)
		got, err := r.Form()
		if test.want == nil && !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("%q of %q = %v, %v, want an invalid", test.body, test.kind, got, err)
		}
		if test.want != nil && (err != nil || fmt.Sprint(got) != fmt.Sprint(test.want)) {
			t.Errorf("%q of %q = %v, %v, want %v", test.body, test.kind, got, err, test.want)
		}
	}
}

func TestResponses(t *testing.T) {
	h := waxotest.New(t)
	for _, test := range []struct {
		resp           *http.Response
		status         int
		name, value    string
		body           string
		failureMatches string
	}{
		{http.Text(418, "x"), 418, "Content-Type", "text/plain; charset=utf-8", "x", ""},
		{http.HTML(200, "<p>"), 200, "Content-Type", "text/html; charset=utf-8", "<p>", ""},
		{http.JSON(201, []byte("{}")), 201, "Content-Type", "application/json", "{}", ""},
		{http.Redirect(303, "/next"), 303, "Location", "/next", "see /next\n", ""},
		{http.NotFound(), 404, "Content-Type", "text/plain; charset=utf-8", "not found\n", ""},
		{http.Text(99, ""), 500, "", "", "", "99 is no status"},
		{http.Text(1000, ""), 500, "", "", "", "1000 is no status"},
		{http.Redirect(302, "/\r\nX: y"), 500, "", "", "", "the header Location holds a control character"},
		{http.Redirect(302, "/\xff"), 500, "", "", "", "is not UTF-8"},
		{named("X Y"), 500, "", "", "", `"X Y" is no name`},
		{named(""), 500, "", "", "", `"" is no name`},
		{nil, 500, "", "", "", "neither a response nor an error"},
	} {
		handler = func(*http.Request) (*http.Response, error) { return test.resp, nil }
		got := h.Do("GET", "/", "")
		if got.Status != test.status || got.Body != test.body || got.Header[test.name] != test.value {
			t.Errorf("%+v = %v", test.resp, got)
		}
		if test.failureMatches != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), test.failureMatches)) {
			t.Errorf("%+v = %v, want %s", test.resp, got.Err, test.failureMatches)
		}
	}
}

func named(name string) *http.Response {
	resp := http.Text(200, "")
	resp.Header.Set(name, "x")
	return resp
}

func TestHeader(t *testing.T) {
	var h http.Header
	h.Set("A", "1")
	h.Set("B", "2")
	h.Set("a", "3")
	h.Set("C", "4")
	h.Del("b")
	h.Del("absent")
	var all []string
	for name, value := range h.All() {
		all = append(all, name+"="+value)
	}
	if !slices.Equal(all, []string{"a=3", "C=4"}) || h.Get("A") != "3" {
		t.Errorf("header = %v", all)
	}
	h.Add("d", "5")
	copied := h
	copied.Del("A")
	copied.Set("D", "6")
	if h.Get("A") != "3" || h.Get("D") != "5" || copied.Get("A") != "" || copied.Get("D") != "6" {
		t.Errorf("header = %v, its copy %v", h, copied)
	}
	for name := range h.All() {
		if name != "a" {
			t.Errorf("a loop that stopped went on with %s", name)
		}
		break
	}
}

// TestRepeatedHeaders joins them in the way that the host takes apart.
func TestRepeatedHeaders(t *testing.T) {
	h := waxotest.New(t)
	handler = func(*http.Request) (*http.Response, error) {
		resp := http.Text(200, "")
		resp.Header.Add("Vary", "Accept")
		resp.Header.Add("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
		resp.Header.Add("vary", "Origin")
		resp.Header.Add("set-cookie", "b=2")
		return resp, nil
	}
	header := h.Do("GET", "/", "").Header
	if len(header) != 3 || header["Vary"] != "Accept, Origin" || header["Set-Cookie"] != "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT\nb=2" {
		t.Errorf("header = %q", header)
	}
	handler = func(*http.Request) (*http.Response, error) {
		resp := http.Text(200, "")
		resp.Header.Add("Set-Cookie", "a=1\nadmin=1")
		return resp, nil
	}
	if resp := h.Do("GET", "/", ""); resp.Err == nil {
		t.Errorf("a cookie brought another: %v", resp)
	}
}

// TestMiddleware has a handler around another.
func TestMiddleware(t *testing.T) {
	h := waxotest.New(t)
	around := func(next http.Handler) http.Handler {
		return func(r *http.Request) (*http.Response, error) {
			resp, err := next(r)
			if err == nil {
				resp.Header.Set("X-Around", "yes")
			}
			return resp, err
		}
	}
	handler = around(func(*http.Request) (*http.Response, error) { return http.Text(200, "in"), nil })
	if resp := h.Do("GET", "/", ""); resp.Header["X-Around"] != "yes" || resp.Body != "in" {
		t.Error(resp)
	}
	handler = around(func(*http.Request) (*http.Response, error) { return nil, errors.New("no") })
	if resp := h.Do("GET", "/", ""); resp.Status != 500 || !errors.Is(resp.Err, waxo.ErrGuest) {
		t.Error(resp)
	}
}

func TestHandleRefuses(t *testing.T) {
	handler = func(*http.Request) (*http.Response, error) { return http.NotFound(), nil }
	waxotest.New(t).Do("GET", "/", "")
	for want, f := range map[string]func(){
		"the handler is nil":          func() { http.Handle(nil) },
		"after the first call":        func() { http.Handle(handler) },
		"the handler of GET / is nil": func() { new(http.Router).Handle("GET /", nil) },
	} {
		mustPanic(t, want, f)
	}
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if text := fmt.Sprint(recover()); !strings.Contains(text, want) {
			t.Errorf("panicked with %s, want %s", text, want)
		}
	}()
	f()
}
