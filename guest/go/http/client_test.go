package http

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
)

// server is a host that takes one request and answers it.
type server struct {
	binding, namespace, operation string
	request                       httppb.Request
	answer                        []byte
}

func (s *server) Console(string) {}

func (s *server) Call(binding, namespace, operation string, payload []byte) ([]byte, error) {
	s.binding, s.namespace, s.operation = binding, namespace, operation
	if err := s.request.UnmarshalProto([]byte(string(payload))); err != nil {
		return nil, err
	}
	return s.answer, nil
}

func newServer(t *testing.T, answer *httppb.Response) *server {
	t.Helper()
	s := &server{answer: answer.AppendProto(nil)}
	if !abi.Install(s) {
		t.Fatal("there is a host")
	}
	t.Cleanup(abi.Uninstall)
	return s
}

func TestDo(t *testing.T) {
	answer := &httppb.Response{StatusCode: 404, Status: "Not Found", Header: map[string]string{"Content-Type": "text/plain", "Set-Cookie": "a=1\nb=2\nc=3", "X-Ä": "ü"}, Body: []byte("nothing")}
	s := newServer(t, answer)
	var r ClientRequest
	for _, test := range []struct {
		url  string
		want httppb.Request
	}{
		{"http://example.com", httppb.Request{Method: "GET", Path: "http://example.com"}},
		{"https://example.com/a%20b?c=d?e#f", httppb.Request{Method: "GET", Path: "https://example.com/a%20b", QueryString: "c=d?e"}},
		{"http://example.com/?#?", httppb.Request{Method: "GET", Path: "http://example.com/"}},
	} {
		r.URL = test.url
		if _, err := Do(&r); err != nil || !reflect.DeepEqual(s.request, test.want) {
			t.Errorf("%s is %+v, %v", test.url, s.request, err)
		}
	}
	r = ClientRequest{Method: "PUT", URL: "http://example.com/", Body: []byte("body")}
	r.Header.Add("X-Two", "a")
	r.Header.Add("x-two", "b")
	resp, err := OpenClient("other").Do(&r)
	if err != nil {
		t.Fatal(err)
	}
	if want := (httppb.Request{Method: "PUT", Path: "http://example.com/", Header: map[string]string{"X-Two": "a, b"}, Body: []byte("body")}); !reflect.DeepEqual(s.request, want) {
		t.Errorf("got %+v", s.request)
	}
	if s.binding != "other" || s.namespace != "wascap:http_client" || s.operation != "wascap:httpclient!PerformRequest" {
		t.Errorf("got %q %q %q", s.binding, s.namespace, s.operation)
	}
	clear(s.answer) // the response is the caller's own
	var cookies []string
	for name, value := range resp.Header.All() {
		if name == "Set-Cookie" {
			cookies = append(cookies, value)
		}
	}
	if resp.Status != 404 || string(resp.Body) != "nothing" || resp.Header.Get("content-type") != "text/plain" || resp.Header.Get("X-Ä") != "ü" || strings.Join(cookies, "|") != "a=1|b=2|c=3" {
		t.Errorf("got %+v, cookies %q", resp, cookies)
	}
	// It can be passed on.
	resp.Header.Del("X-Ä")
	if err := resp.check(); err != nil {
		t.Fatal(err)
	}
	var again httppb.Response
	if err := again.UnmarshalProto(append(resp.appendHead(nil), resp.Body...)); err != nil {
		t.Fatal(err)
	}
	delete(answer.Header, "X-Ä")
	if !maps.Equal(again.Header, answer.Header) || again.StatusCode != 404 || string(again.Body) != "nothing" {
		t.Errorf("passed on it is %+v", again)
	}
}

func TestDoRefuses(t *testing.T) {
	s := newServer(t, &httppb.Response{})
	s.operation = "none"
	for _, bad := range []field{{name: "a b", value: "x"}, {name: "X", value: "a\r\nb"}} {
		r := ClientRequest{URL: "http://example.com", Header: Header{fields: []field{}}}
		r.Header.Add(bad.name, bad.value)
		if _, err := Do(&r); !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("%q: %v", bad.name, err)
		}
	}
	if s.operation != "none" {
		t.Error("the host was asked")
	}
	whole := (&httppb.Response{StatusCode: 200, Header: map[string]string{"A": "b"}, Body: []byte("body")}).AppendProto(nil)
	for n := 1; n < len(whole); n++ {
		s.answer = whole[:n]
		if resp, err := Do(&ClientRequest{URL: "http://example.com"}); err == nil && len(resp.Body) > 0 {
			t.Errorf("of %d bytes: %+v", n, resp)
		}
	}
	s.answer = []byte("\x1a\x04\x0a\x02\xff\xff")
	if _, err := Do(&ClientRequest{URL: "http://example.com"}); !errors.Is(err, waxo.ErrInternal) || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
}

// TestClientAllocations: a response takes one allocation for itself, one for its
// strings and one for its body.
func TestClientAllocations(t *testing.T) {
	var host abi.Host = answers((&httppb.Response{StatusCode: 200, Header: map[string]string{"Content-Type": "text/plain", "Content-Length": "4", "Date": "now"}, Body: []byte("body")}).AppendProto(nil))
	if !abi.Install(host) {
		t.Fatal("there is a host")
	}
	defer abi.Uninstall()
	r := &ClientRequest{URL: "http://example.com/path?query"}
	if got := testing.AllocsPerRun(1000, func() {
		if _, err := Do(r); err != nil {
			t.Fatal(err)
		}
	}); got > 3 {
		t.Errorf("%v allocations, want 3", got)
	}
}

// answers is a host that always gives the same answer.
type answers []byte

func (a answers) Console(string) {}

func (a answers) Call(string, string, string, []byte) ([]byte, error) { return a, nil }
