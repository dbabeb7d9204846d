package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func TestResponseReachesClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method string
		response     httppb.Response
		status       int
		header       http.Header // without Date
		body         string
	}{
		{"nothing set", "GET", httppb.Response{}, 200, http.Header{"Content-Length": {"0"}}, ""},
		{"all set", "GET", httppb.Response{StatusCode: 201, Status: "Made", Header: map[string]string{"content-type": "a/b", "X-A": " é "}, Body: []byte("x")},
			201, http.Header{"Content-Length": {"1"}, "Content-Type": {"a/b"}, "X-A": {"é"}}, "x"},
		{"last status", "GET", httppb.Response{StatusCode: 999}, 999, http.Header{"Content-Length": {"0"}}, ""},
		{"type detected", "GET", httppb.Response{Body: []byte("<html>")}, 200, http.Header{"Content-Length": {"6"}, "Content-Type": {"text/html; charset=utf-8"}}, "<html>"},
		{"no type", "GET", httppb.Response{Header: map[string]string{"Content-Type": ""}, Body: []byte("x")}, 200, http.Header{"Content-Length": {"1"}}, "x"},
		{"cookies", "GET", httppb.Response{Header: map[string]string{"Set-Cookie": "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT\nc=3\n", "set-cookie": "d=4"}},
			200, http.Header{"Content-Length": {"0"}, "Set-Cookie": {"b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "c=3", "d=4"}}, ""},
		{"headers of the server", "GET", httppb.Response{Header: map[string]string{"Content-Length": "7", "Connection": "close", "transfer-encoding": "chunked",
			"Date": "x", "Keep-Alive": "1", "Trailer": "X-T", "Upgrade": "h2c", "x-waxo-build": "forged"}, Body: []byte("x")},
			200, http.Header{"Content-Length": {"1"}, "Content-Type": {"text/plain; charset=utf-8"}}, "x"},
		{"spelt twice alike", "GET", httppb.Response{Header: map[string]string{"x-a": "1", "X-A": "1"}}, 200, http.Header{"Content-Length": {"0"}, "X-A": {"1"}}, ""},
		{"no content", "GET", httppb.Response{StatusCode: 204, Header: map[string]string{"Content-Length": "1"}, Body: []byte("x")}, 204, http.Header{}, ""},
		{"not modified", "GET", httppb.Response{StatusCode: 304, Header: map[string]string{"Etag": `"1"`}, Body: []byte("x")}, 304, http.Header{"Etag": {`"1"`}}, ""},
		{"reset content", "GET", httppb.Response{StatusCode: 205, Body: []byte("x")}, 205, http.Header{"Content-Length": {"0"}}, ""},
		{"head", "HEAD", httppb.Response{Body: []byte("body")}, 200, http.Header{"Content-Length": {"4"}, "Content-Type": {"text/plain; charset=utf-8"}}, ""},
		{"head without a body", "HEAD", httppb.Response{}, 200, http.Header{}, ""},
		{"head with a length", "HEAD", httppb.Response{Header: map[string]string{"content-length": "77"}}, 200, http.Header{"Content-Length": {"77"}}, ""},
		{"head with a wrong length", "HEAD", httppb.Response{Header: map[string]string{"Content-Length": "-7"}}, 200, http.Header{}, ""},
		{"head of reset content", "HEAD", httppb.Response{StatusCode: 205, Header: map[string]string{"Content-Length": "7"}}, 205, http.Header{"Content-Length": {"0"}}, ""},
		{"large", "GET", httppb.Response{Header: map[string]string{"Content-Type": "a/b"}, Body: bytes.Repeat([]byte("x"), 100_000)},
			200, http.Header{"Content-Length": {"100000"}, "Content-Type": {"a/b"}}, strings.Repeat("x", 100_000)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, answers(&test.response), Options{}, false)
			c := s.dial(t)
			r := bufio.NewReader(c)
			// Twice on one connection: the first must have ended where it says.
			for range 2 {
				send(t, c, test.method+" / HTTP/1.1\nHost: h\n\n")
				res, body := response(t, r, test.method)
				if res.Header.Get("Date") == "" || res.Header.Get("Date") == "x" {
					t.Errorf("Date: %q", res.Header.Get("Date"))
				}
				res.Header.Del("Date")
				if res.StatusCode != test.status || body != test.body || !reflect.DeepEqual(res.Header, test.header) {
					t.Errorf("got %d %v %.50q\nwant %d %v %.50q", res.StatusCode, res.Header, body, test.status, test.header, test.body)
				}
			}
		})
	}
}

func TestResponseRefused(t *testing.T) {
	t.Parallel()
	header := func(name, value string) []byte {
		return (&httppb.Response{Header: map[string]string{name: value}}).AppendProto(nil)
	}
	tests := []struct {
		name    string
		payload []byte
		code    capability.Code
		message string
	}{
		{"status 1", (&httppb.Response{StatusCode: 1}).AppendProto(nil), capability.CodeGuest, "status 1;"},
		{"status 100", (&httppb.Response{StatusCode: 100}).AppendProto(nil), capability.CodeGuest, "status 100;"},
		{"status 101", (&httppb.Response{StatusCode: 101}).AppendProto(nil), capability.CodeGuest, "status 101;"},
		{"status 199", (&httppb.Response{StatusCode: 199}).AppendProto(nil), capability.CodeGuest, "status 199;"},
		{"status 1000", (&httppb.Response{StatusCode: 1000}).AppendProto(nil), capability.CodeGuest, "status 1000;"},
		{"status too large for an int32", (&httppb.Response{StatusCode: 1<<32 - 1}).AppendProto(nil), capability.CodeGuest, "status 4294967295;"},
		{"no payload at all", []byte{0xff}, capability.CodeGuest, "no http.Response"},
		{"line break", header("X-A", "a\r\nX-B: b"), capability.CodeGuest, `"X-A"`},
		{"line feed", header("X-A", "a\nb"), capability.CodeGuest, `"X-A"`},
		{"carriage return in a cookie", header("Set-Cookie", "a=1\r\nb=2"), capability.CodeGuest, `"Set-Cookie"`},
		{"zero byte", header("X-A", "a\x00"), capability.CodeGuest, `"X-A"`},
		{"delete", header("X-A", "\x7f"), capability.CodeGuest, `"X-A"`},
		{"no name", header("", "a"), capability.CodeGuest, `""`},
		{"space in a name", header("X A", "a"), capability.CodeGuest, `"X A"`},
		{"colon in a name", header("Trailer:X", "a"), capability.CodeGuest, `"Trailer:X"`},
		{"line break in a name", header("X\r\nY", "a"), capability.CodeGuest, `"X\r\nY"`},
		{"name outside ASCII", header("É", "a"), capability.CodeGuest, `"É"`},
		{"spelt twice", (&httppb.Response{Header: map[string]string{"x-a": "1", "X-A": "2"}}).AppendProto(nil), capability.CodeGuest, `"X-A" twice`},
		{"body too large", (&httppb.Response{Body: make([]byte, 1001)}).AppendProto(nil), capability.CodeTooLarge, "body of 1001 bytes"},
		{"headers too large", header("X-A", strings.Repeat("a", 5000)), capability.CodeTooLarge, "headers of 5007 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := dispatch(func(context.Context, string, []byte) (capability.Reply, error) {
				return capability.Reply{Payload: test.payload, Build: "b7"}, nil
			})
			s := open(t, d, Options{MaxBody: 1000, MaxHeader: 4096}, false)
			res, body := s.get(t, "/")
			if res.StatusCode != 500 || !strings.HasPrefix(body, "Internal Server Error\nrequest: ") {
				t.Errorf("got %d %q", res.StatusCode, body)
			}
			if b := res.Header.Get(BuildHeader); b != "b7" {
				t.Errorf("build %q", b)
			}
			a := s.lastAccess(t)
			if a.Err == nil || a.Err.Code != test.code || !strings.Contains(a.Err.Message, test.message) {
				t.Errorf("reported %v, want %s: ...%s", a.Err, test.code, test.message)
			}
		})
	}
}

// TestContentLength: whoever counts, the client learns how long the body is.
func TestContentLength(t *testing.T) {
	t.Parallel()
	s := open(t, guest(func(r *httppb.Request) *httppb.Response { return &httppb.Response{Body: r.Body} }), Options{}, false)
	for version := 1; version <= 2; version++ {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(version == 1)
		transport.Protocols.SetUnencryptedHTTP2(version == 2)
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: patience}
		for _, n := range []int{0, 1, 2047, 2048, 2049, 8191, 8192, 8193, 100_000} {
			res, err := client.Post("http://"+s.addr+"/", "text/plain", strings.NewReader(strings.Repeat("x", n)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.ProtoMajor != version || res.Header.Get("Content-Length") != strconv.Itoa(n) || len(body) != n {
				t.Errorf("%s, %d bytes: got %d, %v", res.Proto, n, len(body), res.Header)
			}
		}
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := open(t, guest(func(r *httppb.Request) *httppb.Response {
		return &httppb.Response{StatusCode: 202, Header: map[string]string{"X-Host": r.Header["Host"], "Set-Cookie": "a=1\nb=2"}, Body: r.Body}
	}), Options{}, false)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for range 3 {
		res, err := client.Post("http://"+s.addr+"/", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != 202 || string(body) != "hello" || res.Header.Get("X-Host") != s.addr || len(res.Cookies()) != 2 {
			t.Errorf("got %s %d %v %q", res.Proto, res.StatusCode, res.Header, body)
		}
	}
}
