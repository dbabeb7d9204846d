package grpcclient_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability/internal/grpcclient"
)

// hostile serves HTTP/2 with a handler that need not speak gRPC.
func hostile(t testing.TB, handler http.HandlerFunc) *grpcclient.Conn {
	t.Helper()
	cert, config := certificate(t)
	s := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}}
	l := listen(t)
	var served sync.WaitGroup
	served.Go(func() { _ = s.ServeTLS(l, "", "") })
	t.Cleanup(func() { s.Close(); served.Wait() })
	return dial(t, l, config)
}

// reply is an answer that is right, but for what a test changes.
type reply struct {
	status  int
	header  map[string]string
	body    string
	trailer map[string]string
}

func (a reply) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = io.WriteString(w, a.body)
	for k, v := range a.trailer {
		w.Header().Set(http.TrailerPrefix+k, v)
	}
}

const good = "\x00\x00\x00\x00\x02hi"

var fine = map[string]string{"Grpc-Status": "0"}

func TestAnswersThatAreNone(t *testing.T) {
	for name, test := range map[string]struct {
		answer reply
		code   grpcclient.Code
		words  string
	}{
		"as it should be":               {reply{body: good, trailer: fine}, grpcclient.OK, ""},
		"a longer content type":         {reply{header: map[string]string{"Content-Type": "application/grpc+proto; x=y"}, body: good, trailer: fine}, grpcclient.OK, ""},
		"wrong content type":            {reply{header: map[string]string{"Content-Type": "text/html"}, body: good, trailer: fine}, grpcclient.Internal, `"text/html" instead of application/grpc`},
		"nearly a content type":         {reply{header: map[string]string{"Content-Type": "application/grpc-web"}, body: good, trailer: fine}, grpcclient.Internal, `instead of application/grpc`},
		"no content type":               {reply{header: map[string]string{"Content-Type": ""}, body: good, trailer: fine}, grpcclient.Internal, `"" instead of application/grpc`},
		"status of HTTP":                {reply{status: 503}, grpcclient.Unavailable, "status 503 of HTTP"},
		"not found":                     {reply{status: 404}, grpcclient.Unimplemented, "status 404 of HTTP"},
		"moved":                         {reply{status: 302}, grpcclient.Unknown, "status 302 of HTTP"},
		"compressed message":            {reply{body: "\x01\x00\x00\x00\x02hi", trailer: fine}, grpcclient.Internal, "compressed (flag 1)"},
		"compressed by name":            {reply{header: map[string]string{"Grpc-Encoding": "gzip"}, body: good, trailer: fine}, grpcclient.Internal, `by "gzip"`},
		"a flag that nobody knows":      {reply{body: "\x80\x00\x00\x00\x02hi", trailer: fine}, grpcclient.Internal, "flag 128"},
		"no trailers":                   {reply{body: good}, grpcclient.Internal, "without a status"},
		"trailers without a status":     {reply{body: good, trailer: map[string]string{"X": "y"}}, grpcclient.Internal, "without a status"},
		"nothing at all":                {reply{}, grpcclient.Internal, "without a status"},
		"a status that is no number":    {reply{body: good, trailer: map[string]string{"Grpc-Status": "fine"}}, grpcclient.Internal, `"fine" instead of a number`},
		"a negative status":             {reply{body: good, trailer: map[string]string{"Grpc-Status": "-1"}}, grpcclient.Internal, `"-1" instead of a number`},
		"a huge status":                 {reply{body: good, trailer: map[string]string{"Grpc-Status": "99999999999999999999"}}, grpcclient.Internal, "instead of a number"},
		"an unknown status":             {reply{body: good, trailer: map[string]string{"Grpc-Status": "4711", "Grpc-Message": "%zz"}}, 4711, "%zz"},
		"an error in the headers":       {reply{header: map[string]string{"Grpc-Status": "5", "Grpc-Message": "not%20there"}}, 5, "not there"},
		"success without an answer":     {reply{trailer: fine}, grpcclient.Internal, "gives none"},
		"two answers":                   {reply{body: good + good, trailer: fine}, grpcclient.Internal, "more than one message"},
		"an answer and a bit":           {reply{body: good + "\x00", trailer: fine}, grpcclient.Internal, "more than one message"},
		"a prefix that is cut":          {reply{body: "\x00\x00", trailer: fine}, grpcclient.Internal, "cut short"},
		"a message that is cut":         {reply{body: good[:6], trailer: fine}, grpcclient.Internal, "cut short"},
		"one that is cut by an error":   {reply{body: good[:6], trailer: map[string]string{"Grpc-Status": "9", "Grpc-Message": "no more"}}, 9, "no more"},
		"an answer of 4 GiB":            {reply{body: "\x00\xff\xff\xff\xffhi", trailer: fine}, grpcclient.ResourceExhausted, "4294967295 bytes"},
		"an answer beyond the limit":    {reply{body: "\x00\x00\x00\x03\xe9" + strings.Repeat("x", 1001), trailer: fine}, grpcclient.ResourceExhausted, "1001 bytes"},
		"a message that is no text":     {reply{body: good, trailer: map[string]string{"Grpc-Status": "2", "Grpc-Message": "%ff%fe"}}, 2, "\ufffd"},
		"a content type without an end": {reply{header: map[string]string{"Content-Type": strings.Repeat("x", 10_000)}}, grpcclient.Internal, "instead of application/grpc"},
	} {
		c := hostile(t, test.answer.ServeHTTP)
		var got text
		err := c.Call(within(t), "/test.Test/Echo", new(text), &got, 1000)
		if test.code == grpcclient.OK {
			if err != nil || got.s != "hi" {
				t.Errorf("%s: %q, %v", name, got.s, err)
			}
			continue
		}
		if grpcclient.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.words) || len(err.Error()) > 500 {
			t.Errorf("%s: the error is %v (code %d), want one of the code %d with %q", name, err, grpcclient.CodeOf(err), test.code, test.words)
		}
		// A stream sees the same, but where one answer is too many or too few.
		s, err := c.Stream(within(t), "/test.Test/Echo")
		if err != nil {
			continue // so soon
		}
		s.CloseSend()
		for err == nil {
			err = s.Recv(&got, 1<<20)
		}
		if test.words != "gives none" && test.words != "more than one message" && test.code != grpcclient.ResourceExhausted && grpcclient.CodeOf(err) != test.code {
			t.Errorf("%s, in a stream: %v (code %d)", name, err, grpcclient.CodeOf(err))
		}
		s.Close()
	}
}

// TestEndlessAnswers: the context ends what never does.
func TestEndlessAnswers(t *testing.T) {
	flood := func(w http.ResponseWriter, r *http.Request, bytes string) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, bytes); err != nil {
				return
			}
			http.NewResponseController(w).Flush() //nolint:errcheck // it ends with the client
		}
	}
	begin := func(w http.ResponseWriter, bytes string) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = io.WriteString(w, bytes)
		http.NewResponseController(w).Flush() //nolint:errcheck // it ends with the client
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		code    grpcclient.Code
	}{
		"says nothing":          {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, grpcclient.DeadlineExceeded},
		"headers alone":         {func(w http.ResponseWriter, r *http.Request) { begin(w, ""); <-r.Context().Done() }, grpcclient.DeadlineExceeded},
		"a prefix alone":        {func(w http.ResponseWriter, r *http.Request) { begin(w, "\x00\x10\x00\x00\x00"); <-r.Context().Done() }, grpcclient.DeadlineExceeded},
		"an answer without end": {func(w http.ResponseWriter, r *http.Request) { begin(w, good); <-r.Context().Done() }, grpcclient.DeadlineExceeded},
		"answers without end":   {func(w http.ResponseWriter, r *http.Request) { begin(w, ""); flood(w, r, good) }, grpcclient.Internal},
		"early hints without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1000))
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, grpcclient.Unavailable},
		"headers that are too long": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			begin(w, good)
		}, grpcclient.Unavailable},
		"trailers that are too long": {func(w http.ResponseWriter, r *http.Request) {
			begin(w, good)
			w.Header().Set(http.TrailerPrefix+"X", strings.Repeat("x", 1<<20))
		}, grpcclient.Unavailable},
		"a panic in the middle": {func(w http.ResponseWriter, r *http.Request) { begin(w, good[:6]); panic(http.ErrAbortHandler) }, grpcclient.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := hostile(t, test.handler)
			wait := patience
			if test.code == grpcclient.DeadlineExceeded {
				wait = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			wantError(t, c.Call(ctx, "/test.Test/Echo", new(text), new(text), 256<<20), test.code, "")
		})
	}
}

// TestRoomComesWithTheBytes: a prefix that promises much costs little.
func TestRoomComesWithTheBytes(t *testing.T) {
	c := hostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = io.WriteString(w, "\x00\x0f\xff\xff\xff"+strings.Repeat("x", 100)) // of 256 MiB
		http.NewResponseController(w).Flush()                                     //nolint:errcheck // it ends with the client
		<-r.Context().Done()
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			wantError(t, c.Call(ctx, "/test.Test/Echo", new(text), new(text), 256<<20), grpcclient.DeadlineExceeded, "")
		})
	}
	calls.Wait()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
}

// TestServersThatAreNone have TCP, and nothing that fits on top.
func TestServersThatAreNone(t *testing.T) {
	cert, config := certificate(t)
	_, other := certificate(t)
	secure := func(protocols ...string) func(net.Conn) net.Conn {
		return func(c net.Conn) net.Conn {
			return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols})
		}
	}
	bare := func(c net.Conn) net.Conn { return c }
	for name, test := range map[string]struct {
		trust *tls.Config
		wrap  func(net.Conn) net.Conn
		says  string
		words string // of the error
	}{
		"no TLS":              {config, bare, strings.Repeat("hello, I am a program\n", 1000), "tls: "},
		"another certificate": {other, secure("h2"), "", "certificate"},
		"no HTTP/2":           {config, secure(), "HTTP/1.1 200 OK\r\n\r\n", "does not offer HTTP/2"},
		"HTTP/1.1":            {config, secure("http/1.1"), "HTTP/1.1 200 OK\r\n\r\n", "tls: no application protocol"},
		"no frames":           {config, secure("h2"), strings.Repeat("all work and no play makes jack a dull boy ", 1<<16), "the connection"},
		"frames too large":    {config, secure("h2"), "\xff\xff\xff\x00\x00\x00\x00\x00\x01", "the connection"},
		"closes":              {config, secure("h2"), "", "the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			var served sync.WaitGroup
			defer served.Wait()
			served.Go(func() {
				raw, err := l.Accept()
				if err != nil {
					return
				}
				defer raw.Close()
				conn := test.wrap(raw)
				_, _ = conn.Read(make([]byte, 100))
				_, _ = io.WriteString(conn, test.says)
				if test.says != "" {
					_, _ = io.Copy(io.Discard, conn) // until the client goes
				}
			})
			c, err := grpcclient.Dial(within(t), "tcp", l.Addr().String(), test.trust)
			if err == nil {
				defer c.Close()
				err = c.Call(within(t), "/test.Test/Echo", new(text), new(text), 1000)
			}
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("the error is %v, want %q in it", err, test.words)
			}
			if len(fmt.Sprint(err)) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDialIsBounded(t *testing.T) {
	_, config := certificate(t)
	l := listen(t) // nobody accepts
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if c, err := grpcclient.Dial(ctx, "tcp", l.Addr().String(), config); err == nil {
		c.Close()
		t.Error("there is a connection")
	}
	if _, err := grpcclient.Dial(within(t), "unix", "/nowhere/s", config); err == nil {
		t.Error("there is a connection to nowhere")
	}
}
