package main

import (
	"strings"
	"testing"

	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func TestForm(t *testing.T) {
	h := waxotest.New(t)
	if resp := h.Do("GET", "/", ""); resp.Status != 200 || !strings.Contains(resp.Body, "<form") {
		t.Errorf("GET / = %v", resp)
	}
	for _, test := range []struct {
		body   string
		status int
		want   string
	}{
		{"name=Ada", 200, "Hello, Ada!"},
		{"name=%3Cb%3EAda%3C%2Fb%3E", 200, "Hello, &lt;b&gt;Ada&lt;/b&gt;!"},
		{"name=+", 422, "the name is missing"},
	} {
		resp := h.Send(waxotest.Request{
			Method: "POST",
			Target: "/",
			Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			Body:   test.body,
		})
		if resp.Status != test.status || !strings.Contains(resp.Body, test.want) {
			t.Errorf("POST / with %s = %v, want %d, %s", test.body, resp, test.status, test.want)
		}
	}
	if resp := h.Do("POST", "/", "name=Ada"); resp.Status != 400 {
		t.Errorf("POST / without a content type = %v", resp)
	}
}

func TestAPI(t *testing.T) {
	h := waxotest.New(t)
	for _, test := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/api/greetings/fr?name=Ada", "", 200, `{"language":"fr","name":"Ada","text":"Bonjour, Ada!"}`},
		{"GET", "/api/greetings/xx?name=Ada", "", 404, `{"error":"there is no greeting in the language xx"}`},
		{"GET", "/api/greetings/fr", "", 422, `{"error":"the name is missing"}`},
		{"POST", "/api/greetings", `{"language":"de","name":"Ada"}`, 200, `{"language":"de","name":"Ada","text":"Hallo, Ada!"}`},
		{"POST", "/api/greetings", `{"name":"` + strings.Repeat("a", 51) + `"}`, 422, `{"error":"the name is longer than 50 characters"}`},
	} {
		resp := h.Do(test.method, test.target, test.body)
		if resp.Status != test.status || resp.Body != test.want+"\n" {
			t.Errorf("%s %s %s = %v, want %d, %s", test.method, test.target, test.body, resp, test.status, test.want)
		}
	}
	if resp := h.Do("POST", "/api/greetings", "{"); resp.Status != 400 || !strings.Contains(resp.Body, `"error"`) {
		t.Errorf("POST /api/greetings with broken JSON = %v", resp)
	}
}

func TestLog(t *testing.T) {
	h := waxotest.New(t)
	h.Do("GET", "/", "")
	if logs := h.Logs(); len(logs) != 1 || logs[0].Text != "GET /: 200" {
		t.Errorf("logs = %v", logs)
	}
}
