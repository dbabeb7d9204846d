package http1

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// answerOf returns what a handler answers to a request.
func answerOf(t *testing.T, request string, handler http.HandlerFunc) (*http.Response, string, *site) {
	t.Helper()
	s := open(t, handler, nil)
	c := dial(t, s.addr)
	send(t, c, request)
	res, body := nextResponse(t, bufio.NewReader(c), strings.Fields(request)[0])
	_ = c.Close()
	<-s.preface
	return res, body, s
}

const get = "GET / HTTP/1.1\nHost: h\n\n"

func TestAddField(t *testing.T) {
	t.Parallel()
	res, body, _ := answerOf(t, get, func(w http.ResponseWriter, _ *http.Request) {
		direct := w.(ResponseWriter)
		w.Header().Set("X-Map", "1")
		direct.AddField("X-A", []byte("1"))
		direct.AddField("Set-Cookie", []byte("a=1"))
		direct.AddField("Set-Cookie", []byte("b=2"))
		direct.AddField("X-Empty", nil)
		direct.AddField("Content-Type", nil)
		direct.AddField("Transfer-Encoding", []byte("gzip"))
		direct.AddField("Date", []byte("today"))
		direct.AddField("Content-Length", []byte("4"))
		w.WriteHeader(http.StatusCreated)
		direct.AddField("X-Late", []byte("1"))
		write(w, "text")
	})
	want := http.Header{"X-Map": {"1"}, "X-A": {"1"}, "Set-Cookie": {"a=1", "b=2"}, "Date": {"today"}, "Content-Length": {"4"}}
	if res.StatusCode != 201 || body != "text" || len(res.Header) != len(want) {
		t.Errorf("got %s %q %q", res.Status, res.Header, body)
	}
	for name, values := range want {
		if got := res.Header[name]; strings.Join(got, "|") != strings.Join(values, "|") {
			t.Errorf("%s: got %q, want %q", name, got, values)
		}
	}
}

// What the handler says of the length of its answer cannot break the connection.
func TestFramingIsTheServers(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"no number":    {"Content-Length": {"many"}},
		"negative":     {"Content-Length": {"-4"}},
		"coding":       {"Transfer-Encoding": {"chunked"}},
		"both":         {"Transfer-Encoding": {"chunked"}, "Content-Length": {"4"}},
		"a trailer":    {"Trailer": {"X-A"}},
		"none":         {"Connection": {"X-A, keep-alive"}},
		"hidden break": {"Content-Length": {"4\r\nX-A: 1"}},
	} {
		res, body, _ := answerOf(t, get, func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), header)
			write(w, "text")
		})
		if body != "text" || res.ContentLength != 4 || res.TransferEncoding != nil || res.Header.Get("X-A") != "" || res.Header.Get("Trailer") != "" || res.Close {
			t.Errorf("%s: %q, length %d, %q", name, body, res.ContentLength, res.Header)
		}
	}
}

// A client sees what was flushed while the handler goes on.
func TestFlush(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			write(w, "event\n")
			flush(w)
			<-next
		}
	}), nil)
	c := dial(t, s.addr)
	send(t, c, get)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body := bufio.NewReader(res.Body)
	for range 3 {
		if line, err := body.ReadString('\n'); line != "event\n" || err != nil {
			t.Fatalf("got %q %v", line, err)
		}
		next <- struct{}{}
	}
	if b, err := io.ReadAll(body); len(b) > 0 || err != nil {
		t.Errorf("then %q %v", b, err)
	}
}

// A handler's own deadlines count.
func TestHandlerSetsDeadlines(t *testing.T) {
	t.Parallel()
	past := time.Unix(1, 0)
	failed := make(chan [2]error, 1)
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		var errs [2]error
		if err := c.SetReadDeadline(past); err != nil {
			t.Error(err)
		}
		_, errs[0] = io.ReadAll(r.Body)
		if err := c.SetWriteDeadline(past); err != nil {
			t.Error(err)
		}
		write(w, "text")
		errs[1] = c.Flush()
		failed <- errs
	}), nil)
	c := dial(t, s.addr)
	send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\nabc")
	for _, err := range <-failed {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	if got := rest(t, c); got != "" {
		t.Errorf("got %q", got)
	}
}

// Nothing that is done with a ResponseWriter after its handler has returned reaches
// the next answer.
func TestAfterTheEnd(t *testing.T) {
	t.Parallel()
	var late http.ResponseWriter
	var lateBody io.Reader
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write(w, "my")
		if late != nil {
			if _, err := late.Write([]byte("stray")); err == nil {
				t.Error("it could write")
			}
			if err := http.NewResponseController(late).Flush(); err == nil {
				t.Error("it could flush")
			}
			if _, err := lateBody.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
				t.Errorf("it could read: %v", err)
			}
		}
		write(w, " own")
		late, lateBody = w, r.Body
	}), nil)
	c := dial(t, s.addr)
	r := bufio.NewReader(c)
	for range 2 {
		send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc")
		if _, body := nextResponse(t, r, "POST"); body != "my own" {
			t.Errorf("got %q", body)
		}
	}
}

// The client is asked for its body when the handler wants it, and only then.
func TestConsent(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			b, err := io.ReadAll(r.Body)
			write(w, string(b))
			if err != nil {
				t.Error(err)
			}
		}
	}), nil)
	for path, want := range map[string]string{"/read": "HTTP/1.1 100 Continue\r\n", "/": "HTTP/1.1 200 OK\r\n"} {
		c := dial(t, s.addr)
		send(t, c, "POST "+path+" HTTP/1.1\nHost: h\nContent-Length: 3\nExpect: 100-continue\n\n")
		r := bufio.NewReader(c)
		if line, err := r.ReadString('\n'); line != want || err != nil {
			t.Fatalf("%s: got %q %v", path, line, err)
		}
		if path != "/read" {
			if b, err := io.ReadAll(r); err != nil || !strings.Contains(string(b), "Connection: close\r\n") {
				t.Errorf("%s: then %q %v", path, b, err)
			}
			continue
		}
		send(t, c, "abc")
		_, _ = r.ReadString('\n') // the blank line of 100
		if res, body := nextResponse(t, r, "POST"); body != "abc" || res.Close {
			t.Errorf("%s: got %s %q", path, res.Status, body)
		}
	}
}

// Consent does not get in between of an answer that another goroutine of the handler
// sends, nor after it.
func TestConsentBesideTheAnswer(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = r.Body.Read(make([]byte, 10))
		}()
		runtime.Gosched()
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		flush(w)
		<-read
	}), nil)
	for i := range 300 {
		path := []string{"/", "/hints"}[i%2]
		got := raw(t, s.addr, "POST "+path+" HTTP/1.1\nHost: h\nConnection: close\nContent-Length: 3\nExpect: 100-continue\n\nabc")
		consent, answer := strings.Index(got, "HTTP/1.1 100 Continue\r\n\r\n"), strings.Index(got, "HTTP/1.1 200 OK\r\n")
		if answer < 0 || consent > answer || strings.Count(got, "HTTP/1.1 ") > 3 {
			t.Fatalf("got %q", got)
		}
	}
}

// A handler that gives consent itself, as a proxy does, is not helped.
func TestOneConsent(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusContinue)
		w.WriteHeader(http.StatusContinue)
		b, _ := io.ReadAll(r.Body)
		write(w, string(b))
	}), nil)
	got := raw(t, s.addr, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\nExpect: 100-continue\n\nabc")
	if strings.Count(got, "100 Continue") != 1 || !strings.HasSuffix(got, "\r\n\r\nabc") || strings.Contains(got, "Connection: close") {
		t.Errorf("got %q", got)
	}
}

func TestMisuseIsLogged(t *testing.T) {
	t.Parallel()
	_, _, s := answerOf(t, get, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "many")
		w.WriteHeader(200)
		w.WriteHeader(500)
	})
	for _, want := range []string{"WriteHeader was called again", "Content-Length that is none"} {
		if got := s.log.String(); !strings.Contains(got, want) {
			t.Errorf("the log has %q", got)
		}
	}
}

// Large answers and heads are not kept for the next request.
func TestTrim(t *testing.T) {
	r := &requests{}
	r.head.Grow(1 << 20)
	r.in.head, r.fields = make([]byte, 1<<20), make([]byte, 1<<20)
	r.trim()
	if kept := r.head.Cap() + cap(r.in.head) + cap(r.fields); kept > 0 {
		t.Errorf("%d bytes are kept", kept)
	}
	r.head.Grow(1 << 10)
	if r.trim(); r.head.Cap() == 0 {
		t.Error("nothing is kept")
	}
}
