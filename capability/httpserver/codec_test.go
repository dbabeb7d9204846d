package httpserver

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/httpfield"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// headerOf is what a guest shall see of a client's headers, as a map.
func headerOf(r *http.Request, length int64) map[string]string {
	h := make(map[string]string)
	for name, values := range r.Header {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		if !httpfield.Connection[name] && name != "Expect" {
			h[name] = httpfield.ToUTF8(strings.Join(values, separator))
		}
	}
	for _, value := range r.Header["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			delete(h, http.CanonicalHeaderKey(strings.TrimSpace(option)))
		}
	}
	if r.ContentLength != 0 || r.Header["Content-Length"] != nil {
		h["Content-Length"] = strconv.FormatInt(length, 10)
	}
	if r.Host != "" {
		h["Host"] = httpfield.ToUTF8(r.Host)
	}
	return h
}

// FuzzRequestHeader compares the payload that is written straight from the
// headers with that of the message. The headers are lines "name: value".
func FuzzRequestHeader(f *testing.F) {
	f.Add("h", int64(0), "Accept: */*\nUser-Agent: x\nCookie: a=1\nCookie: b=2\nX-A: 1\nX-A: 2")
	f.Add("h:80", int64(3), "Content-Length: 3\nConnection: x-a, keep-alive, Close\nX-A: 1\nTe: trailers\nExpect: 100-continue\nZ: \xff")
	f.Add("", int64(-1), "Connection: Content-Length\nTransfer-Encoding: chunked\nConnection: host,,\nA:")
	f.Add("\xe9", int64(0), "Content-Length: 0\nX: é")
	var x exchange
	f.Fuzz(func(t *testing.T, host string, contentLength int64, lines string) {
		r := &http.Request{Method: "PUT", Host: host, ContentLength: contentLength, Header: make(http.Header)}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ":")
			// As net/http has it: no other names come in, and Host is not among them.
			if name = http.CanonicalHeaderKey(name); name != "" && name != "Host" && strings.IndexFunc(name, func(r rune) bool { return r > 127 || !httpfield.Token[byte(r)] }) < 0 {
				r.Header[name] = append(r.Header[name], strings.TrimSpace(value))
			}
		}
		message := httppb.Request{Method: r.Method}
		got := x.appendHeader(message.AppendProto(nil), r, 7)
		message.Header = headerOf(r, 7)
		if want := message.AppendProto(nil); !bytes.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", r.Header, got, want)
		}
	})
}

// FuzzAnswer compares how an answer is taken apart with the message.
func FuzzAnswer(f *testing.F) {
	f.Add((&httppb.Response{StatusCode: 201, Status: "x", Header: map[string]string{"A": "b", "a": "c", "B": ""}, Body: []byte("body")}).AppendProto(nil))
	twice := wire.AppendStringEntry(wire.AppendStringEntry(nil, 26, "A", "1"), 26, "A", "2")
	f.Add(append(twice, "\x1a\x02\x0a\x00\x22\x00\x22\x01x\x78\x01"...))
	f.Add([]byte("\x12\x01\xff"))
	f.Add([]byte("\x1a\x03\x0a\x01\xff"))
	f.Add([]byte("\x1a\x04\x0a\x05A"))
	var a answer
	f.Fuzz(func(t *testing.T, payload []byte) {
		status, size, err := a.read(payload, 1<<20)
		var want httppb.Response
		if wantErr := want.UnmarshalProto(payload); err != nil || wantErr != nil {
			if err != wantErr {
				t.Errorf("%q: %v, want %v", payload, err, wantErr)
			}
			return
		}
		header, sum := make(map[string]string), 0
		for _, f := range a.fields {
			header[string(f.name)] = string(f.value)
			sum += len(f.name) + len(f.value) + 4
		}
		if status != want.StatusCode || !bytes.Equal(a.body, want.Body) || !maps.Equal(header, want.Header) || sum != size {
			t.Errorf("%q: status %d, headers %q of %d bytes, body %q; want %+v", payload, status, header, size, a.body, &want)
		}
	})
}

func TestHeadersOfAnAnswerAreSentOnce(t *testing.T) {
	t.Parallel()
	var payload []byte
	for _, h := range [][2]string{{"x-b", "1"}, {"X-B", "2"}, {"x-b", "2"}, {"X-A", "1"}, {"X-A", "3"}, {"X-EMPTY", ""}, {"set-cookie", "c"}, {"Set-Cookie", "a\nb"}} {
		payload = wire.AppendStringEntry(payload, 26, h[0], h[1])
	}
	var a answer
	if f := a.decode(payload, http.MethodGet, 100, 100); f != nil {
		t.Fatal(f.err)
	}
	got := make(http.Header)
	a.writeHeader(got)
	want := http.Header{"X-A": {"3"}, "X-B": {"2"}, "X-Empty": {""}, "Set-Cookie": {"a", "b", "c"}, "Content-Length": {"0"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a guest answers takes no more memory than the limit of its headers allows.
func TestHeadersWithoutEndAreNotKept(t *testing.T) {
	t.Parallel()
	var a answer
	payload := bytes.Repeat([]byte("\x1a\x00"), 1<<20)
	f := a.decode(payload, http.MethodGet, 100, 4096)
	if f == nil || f.err.Code != capability.CodeTooLarge || !strings.Contains(f.err.Message, "headers of 4194304 bytes") {
		t.Errorf("got %+v", f)
	}
	if len(a.fields) > 1024 {
		t.Errorf("%d headers were kept", len(a.fields))
	}
	if a.trim(); cap(a.fields) > maxPooledFields {
		t.Errorf("room for %d headers was kept", cap(a.fields))
	}
}

// keeper is a ResponseWriter that, as net/http does, sends headers only after the
// handler has ended.
type keeper struct {
	discard
	header http.Header
}

func (k keeper) Header() http.Header { return k.header }

// The buffers of an answer are used again before its headers have been sent.
func TestAnswersDoNotMix(t *testing.T) {
	t.Parallel()
	d := guest(func(r *httppb.Request) *httppb.Response {
		return &httppb.Response{Header: map[string]string{"X-Echo": r.Path, "Set-Cookie": r.Path, "X-Other-Name": r.Path + r.Path}, Body: r.Body}
	})
	handler := newServer(New(nil), capability.Binding{}, d, nil).handler
	var headers []http.Header
	for i := range 40 {
		r, err := http.NewRequest(http.MethodGet, fmt.Sprint("http://h/", i), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, make(http.Header))
		handler.ServeHTTP(keeper{header: headers[i]}, r)
	}
	for i, h := range headers {
		path := fmt.Sprint("/", i)
		if h.Get("X-Echo") != path || h.Get("Set-Cookie") != path || h.Get("X-Other-Name") != path+path {
			t.Errorf("the headers of answer %d are %q", i, h)
		}
	}
}

// A Dispatcher that gave up a call may still write to what it was given.
func TestBuffersOfFailedCallsAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	var given [][]byte
	var failing bool
	h := &recordingDispatcher{func(payload, into []byte) error {
		if failing {
			given = append(given, payload[:1], into)
			return &capability.Error{Code: capability.CodeDeadline, Message: "late"}
		}
		for _, b := range given {
			if cap(b) > 0 && (&b[:1][0] == &payload[0] || cap(into) > 0 && &b[:1][0] == &into[:1][0]) {
				t.Error("a buffer of a failed call is used again")
			}
		}
		return nil
	}}
	handler := newServer(New(nil), capability.Binding{}, h, nil).handler
	for _, failing = range slices.Repeat([]bool{false, true, false}, 10) {
		r, err := http.NewRequest(http.MethodGet, "http://h/path", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		handler.ServeHTTP(discard{}, r)
	}
	if len(given) != 20 {
		t.Errorf("%d buffers were given", len(given))
	}
}
