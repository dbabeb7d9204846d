package http

import (
	"bytes"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// FuzzDecodeRequest holds the codec to the generated one.
func FuzzDecodeRequest(f *testing.F) {
	full := httppb.Request{Method: "GET", Path: "/a", QueryString: "b=c", Header: map[string]string{"A": "1", "B": "2"}, Body: []byte("body")}
	encoded := full.AppendProto(nil)
	f.Add(encoded)
	f.Add(encoded[:len(encoded)-1])
	f.Add(append([]byte{5<<3 | 2, 1, 'x'}, encoded...))                               // the body first
	f.Add(append(encoded, 0x22, 4, 1<<3|2, 1, 'A', 2<<3|2))                           // a broken entry
	f.Add(append(encoded, 0x22, 5, 1<<3|2, 1, 'A', 7<<3, 1))                          // an entry with a field that nobody knows
	f.Add([]byte{0x8a, 0, 3, 'P', 'U', 'T', 0xa2, 0x80, 0, 5, 0x8a, 0, 1, 'A', 0x30}) // tags that are longer than they must be
	f.Add(append([]byte{0x0a, 0x83, 0, 'P', 'U', 'T'}, encoded...))                   // and lengths
	f.Add((&httppb.Request{Path: "/" + strings.Repeat("x", 300), Header: map[string]string{"A": strings.Repeat("ä", 100)}}).AppendProto(nil))
	f.Add([]byte("\x22\x06\n\x010\n\x0101\x040000000"))                // an unknown field instead of the body
	f.Add([]byte{0x0a, 2, 0xff, 0xfe})                                 // no UTF-8
	f.Add([]byte{0x08, 1, 0x0b, 0x0c, 0x3a, 1, 'x', 0x41, 1, 2, 3, 4}) // wrong types, groups
	var x exchange                                                     // as in a guest, it serves one request after the other
	f.Fuzz(func(t *testing.T, b []byte) {
		var want httppb.Request
		wantErr := want.UnmarshalProto(b)
		for range 2 { // the second time it is known
			checkDecode(t, &x, b, &want, wantErr)
		}
		for i := range b { // and what is nearly the same is not taken for it
			if i > 8 && i < len(b)-8 && i != len(b)/2 {
				continue
			}
			other := bytes.Clone(b)
			other[i] ^= 1
			var otherWant httppb.Request
			otherErr := otherWant.UnmarshalProto(other)
			checkDecode(t, &x, other, &otherWant, otherErr)
			checkDecode(t, &x, b, &want, wantErr)
		}
	})
}

func checkDecode(t *testing.T, x *exchange, b []byte, want *httppb.Request, wantErr error) {
	t.Helper()
	err := x.decode(b)
	got := &x.request
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err != nil {
		return
	}
	if got.Method != want.Method || got.Path != want.Path || got.RawQuery != want.QueryString || !bytes.Equal(got.Body, want.Body) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	header := maps.Collect(got.Header.All())
	if len(want.Header) != len(header) || len(header) > 0 && !maps.Equal(header, want.Header) {
		t.Fatalf("header %v, want %v", header, want.Header)
	}
}

// FuzzEncodeResponse has the generated codec read what this one writes, and holds
// it to the same bytes.
func FuzzEncodeResponse(f *testing.F) {
	f.Add(200, "Content-Type", "text/plain", []byte("body"))
	f.Add(0, "A", "", []byte(nil))
	f.Add(200, "x-other", "a", []byte(nil))
	f.Add(200, "Z", "a", []byte("b"))
	f.Fuzz(func(t *testing.T, status int, name, value string, body []byte) {
		resp := &Response{Status: status, Body: body}
		resp.Header.Set(name, value)
		resp.Header.Set("X-Other", strings.Repeat("x", 200))
		if resp.check() != nil {
			t.Skip()
		}
		var got httppb.Response
		encoded := append(resp.appendHead(nil), body...)
		if err := got.UnmarshalProto(encoded); err != nil {
			t.Fatal(err)
		}
		if again := got.AppendProto(nil); !bytes.Equal(encoded, again) {
			t.Fatalf("%+v is encoded as %q, not as %q", resp, encoded, again)
		}
		if status == 0 {
			status = 200
		}
		if int(got.StatusCode) != status || !bytes.Equal(got.Body, body) || !equalFold(name, "X-Other") && got.Header[name] != value {
			t.Fatalf("got %+v, want %+v", &got, resp)
		}
	})
}

// FuzzParseValues holds the parser of queries to net/url's.
func FuzzParseValues(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a", "=", "&&", "a=%41+b", "a=%4", "%zz=1&b=2", "a;b=1", "a=b=c", "a=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := url.ParseQuery(s)
		got, ok := parseValues(s)
		if ok != (wantErr == nil) || !maps.EqualFunc(got, Values(want), func(a, b []string) bool {
			return strings.Join(a, "\x00") == strings.Join(b, "\x00") && len(a) == len(b)
		}) {
			t.Fatalf("%q = %v, %v, want %v, %v", s, got, ok, want, wantErr)
		}
	})
}

func BenchmarkServe(b *testing.B) {
	req := httppb.Request{Method: "POST", Path: "/echo", Body: make([]byte, 4096),
		Header: map[string]string{"Accept": "*/*", "User-Agent": "curl/8.5.0", "Content-Type": "text/plain", "Content-Length": "4096"}}
	payload := req.AppendProto(nil)
	handler := func(r *Request) (*Response, error) { return &Response{Body: r.Body}, nil }
	var x exchange
	request := bytes.Clone(payload)
	b.ReportAllocs()
	for b.Loop() {
		copy(request, payload) // the response was written into it
		if _, err := x.serve(handler, request); err != nil {
			b.Fatal(err)
		}
	}
}
