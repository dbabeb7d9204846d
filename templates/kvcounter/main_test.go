package main

import (
	"errors"
	"testing"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func TestCount(t *testing.T) {
	h := waxotest.New(t)
	for _, step := range []struct{ method, want string }{
		{"GET", `{"count":0}`},
		{"POST", `{"count":1}`},
		{"POST", `{"count":2}`},
		{"GET", `{"count":2}`},
	} {
		resp := h.Do(step.method, "/", "")
		if resp.Status != 200 || resp.Body != step.want+"\n" {
			t.Errorf("%s / = %v, want %s", step.method, resp, step.want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	h := waxotest.New(t)
	if resp := h.Do("DELETE", "/", ""); resp.Status != 405 || resp.Header["Allow"] != "GET, HEAD, POST" {
		t.Errorf("DELETE / = %v", resp)
	}
	if resp := h.Do("GET", "/elsewhere", ""); resp.Status != 404 {
		t.Errorf("GET /elsewhere = %v", resp)
	}
}

func TestStoreFails(t *testing.T) {
	h := waxotest.New(t)
	h.Fail(kv.Capability, &waxo.Error{Code: "unavailable", Message: "no connection"})
	if resp := h.Do("POST", "/", ""); !errors.Is(resp.Err, waxo.ErrUnavailable) {
		t.Errorf("POST / = %v", resp)
	}
}
