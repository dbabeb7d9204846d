package waxotest_test

import (
	"errors"
	"reflect"
	"testing"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func TestOutgoing(t *testing.T) {
	h := waxotest.New(t)
	_, err := http.Get("http://example.com/")
	if !errors.Is(err, waxo.ErrDenied) {
		t.Errorf("without a grant: %v", err)
	}
	h.Grant(http.ClientCapability, kv.Capability)
	if _, err = http.Get("http://example.com/"); !errors.Is(err, waxo.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	var got waxotest.Request
	answer := &waxotest.Response{Header: map[string]string{"Content-Type": "text/plain", "Set-Cookie": "a=1\nb=2"}, Body: "hi"}
	h.Outgoing(func(r waxotest.Request) *waxotest.Response {
		got = r
		if err := kv.Set("seen", r.Target); err != nil { // the host is there meanwhile
			t.Error(err)
		}
		return answer
	})
	resp, err := http.Post("http://example.com/a?b=c", "text/csv", []byte("1,2"))
	if err != nil || resp.Status != 200 || string(resp.Body) != "hi" || resp.Header.Get("content-type") != "text/plain" {
		t.Errorf("%+v, %v", resp, err)
	}
	want := waxotest.Request{Method: "POST", Target: "http://example.com/a?b=c", Header: map[string]string{"Content-Type": "text/csv"}, Body: "1,2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the server sees %+v, want %+v", got, want)
	}
	answer = &waxotest.Response{Err: waxo.ErrDeadline}
	if _, err := http.Get("http://example.com/"); !errors.Is(err, waxo.ErrDeadline) {
		t.Errorf("got %v", err)
	}
	answer = nil
	if _, err := http.Get("http://example.com/"); !errors.Is(err, waxo.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := http.Get("/relative"); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
