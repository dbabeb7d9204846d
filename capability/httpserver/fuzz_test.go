package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// FuzzResponse has a guest answer with arbitrary bytes. Whatever they are, the
// client gets two well-formed responses on one connection, and no header that
// the guest did not answer as a whole.
func FuzzResponse(f *testing.F) {
	for _, r := range []httppb.Response{
		{},
		{StatusCode: 201, Status: "x", Header: map[string]string{"X-A": "b", "Set-Cookie": "a=1\nb=2"}, Body: []byte("body")},
		{StatusCode: 204, Body: []byte("x")},
		{StatusCode: 304, Header: map[string]string{"Content-Length": "7"}},
		{StatusCode: 101, Header: map[string]string{"Upgrade": "x", "Connection": "upgrade"}},
		{Header: map[string]string{"Transfer-Encoding": "chunked", "Content-Length": "9"}, Body: []byte("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")},
		{Header: map[string]string{"X-A": "b\r\nForged: 1"}},
		{Header: map[string]string{"X\r\nForged": "1"}},
		{Header: map[string]string{"Trailer:Forged": "1", "Content-Encoding": "x"}},
	} {
		f.Add(r.AppendProto(nil), "GET")
		f.Add(r.AppendProto(nil), "HEAD")
	}
	var payload []byte
	l, err := net.Listen("unix", filepath.Join(f.TempDir(), "s")) // ports would run out
	if err != nil {
		f.Fatal(err)
	}
	hidden := &hidingListener{Listener: l}
	p := New(&Options{MaxBody: 1 << 16, Listen: func(context.Context, string, string) (net.Listener, error) { return hidden, nil }})
	d := dispatch(func(context.Context, string, []byte) (capability.Reply, error) {
		return capability.Reply{Payload: payload}, nil
	})
	if err := p.Bind(f.Context(), capability.Binding{BindingID: bindingID}, d); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, answer []byte, method string) {
		if method != http.MethodHead {
			method = http.MethodGet
		}
		payload = answer
		for _, hide := range []bool{false, true} { // both servers
			hidden.hide.Store(hide)
			checkAnswer(t, l.Addr().String(), answer, method)
		}
	})
}

// checkAnswer asks twice on one connection, and compares what comes back with the
// guest's answer.
func checkAnswer(t *testing.T, path string, answer []byte, method string) {
	t.Helper()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, strings.Repeat(method+" / HTTP/1.1\r\nHost: h\r\n\r\n", 2)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(client)
	for range 2 {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		checkAgainst(t, answer, method, res, body)
	}
}

// checkAgainst compares a response with the guest's answer that led to it.
func checkAgainst(t *testing.T, answer []byte, method string, res *http.Response, body []byte) {
	t.Helper()
	var want httppb.Response
	wellFormed := want.UnmarshalProto(answer) == nil
	if len(body) > 0 && (method == http.MethodHead || res.StatusCode == 204 || res.StatusCode == 304) {
		t.Errorf("%s, status %d: a body %q", method, res.StatusCode, body)
	}
	ours := map[string]bool{"Date": true, "Content-Type": true, "Content-Length": true}
	if res.StatusCode == 500 && bytes.HasPrefix(body, []byte("Internal Server Error\nrequest: ")) || res.StatusCode == 500 && method == http.MethodHead {
		return // refused, or as good as
	}
	if !wellFormed || res.StatusCode != max(200, int(want.StatusCode)) {
		t.Fatalf("status %d came of %q", res.StatusCode, answer)
	}
	if len(body) > 0 && !bytes.Equal(body, want.Body) {
		t.Errorf("got the body %q, want %q", body, want.Body)
	}
	for name, values := range res.Header {
		for _, value := range values {
			if !ours[name] && !answered(want.Header, name, value) {
				t.Errorf("got the header %q: %q, which is not in %q", name, value, want.Header)
			}
		}
	}
}

func answered(header map[string]string, name, value string) bool {
	for n, v := range header {
		if !strings.EqualFold(n, name) {
			continue
		}
		for line := range strings.SplitSeq(v, "\n") {
			if strings.Trim(line, " \t") == value || strings.TrimSpace(line) == value {
				return true
			}
		}
	}
	return false
}
