package httpserver

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// echo does in one call what a guest that echoes does, at the least cost.
func echo(_ context.Context, _ string, payload []byte) (capability.Reply, error) {
	var r httppb.Request
	if err := r.UnmarshalProto(payload); err != nil {
		return capability.Reply{}, err
	}
	res := httppb.Response{StatusCode: 200, Header: map[string]string{"Content-Type": "application/octet-stream"}, Body: r.Body}
	return capability.Reply{Payload: res.AppendProto(make([]byte, 0, res.ProtoSize()))}, nil
}

// plainEcho is the limit: the same without payloads.
func plainEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body)
}

// BenchmarkEcho sends requests alternately to the provider and to plain
// net/http, from as many connections as there are cores, and reports the ratio
// of their times.
func BenchmarkEcho(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			p := New(nil)
			binding := capability.Binding{BindingID: bindingID, Config: map[string]string{"address": "127.0.0.1:0"}}
			if err := p.Bind(b.Context(), binding, dispatch(echo)); err != nil {
				b.Fatal(err)
			}
			defer p.Close(context.Background())
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			plain := &http.Server{Handler: http.HandlerFunc(plainEcho)}
			go plain.Serve(listener)
			defer plain.Close()

			body := bytes.Repeat([]byte("x"), size)
			client := &http.Client{Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			provider, limit := "http://"+p.Addr(bindingID).String(), "http://"+listener.Addr().String()
			var ours, theirs time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				ours += post(b, client, provider, body)
				theirs += post(b, client, limit, body)
			}
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us/provider")
			b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "us/net-http")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

func post(b *testing.B, client *http.Client, url string, body []byte) time.Duration {
	begin := time.Now()
	res, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil || n != int64(len(body)) {
		b.Fatalf("%d bytes, %v", n, err)
	}
	return time.Since(begin)
}

// BenchmarkHandler is the provider's own work, without the network.
func BenchmarkHandler(b *testing.B) {
	p := New(nil)
	h := newServer(p, capability.Binding{}, dispatch(echo), nil).handler
	body := bytes.Repeat([]byte("x"), 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest(http.MethodPost, "http://h/path", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		h.ServeHTTP(discard{}, r)
	}
}

// discard is a ResponseWriter.
type discard http.Header

func (d discard) Header() http.Header             { return http.Header{} }
func (discard) Write(b []byte) (int, error)       { return len(b), nil }
func (discard) WriteHeader(int)                   {}
func (discard) SetReadDeadline(_ time.Time) error { return nil }
func (discard) SetWriteDeadline(time.Time) error  { return nil }
