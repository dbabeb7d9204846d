package parity

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	pb "github.com/waxosuit/waxo/capability/payload/httppb"
)

func outOfReach(s *Session) {
	other := startOrigin(s)
	_, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: other.url + "/"}).AppendProto(nil))
	s.wantError("a request to an address that allow does not have", err, "denied: ...")
	if n := other.requests.Load(); n > 0 {
		s.Errorf("it was sent")
	}
	s.http("GET", "/", nil, nil) // that one may be
}

func redirectOutOfReach(s *Session) {
	other := startOrigin(s)
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.url+"/", http.StatusFound) })
	_, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: s.origin.url + "/"}).AppendProto(nil))
	s.wantError("a redirect to an address that allow does not have", err, "denied: ...")
	if n := other.requests.Load(); n > 0 {
		s.Errorf("it was followed")
	}
}

func privateAddresses(s *Session) {
	port := s.origin.address()[strings.LastIndex(s.origin.address(), ":"):]
	for _, host := range []string{"127.0.0.1", "[::ffff:127.0.0.1]", "localhost"} {
		s.refuses("a request to "+host+", when nothing was said about where the guest may go", &pb.Request{Method: "GET", Path: "http://" + host + port + "/"}, "denied: ...")
	}
}

func largeResponses(s *Session) {
	for _, announced := range []bool{true, false} {
		s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
			size := len(r.URL.Path) - 1
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(size))
			} else {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush() // so that its length is not known
			}
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		})
		if got := s.http("GET", "/"+strings.Repeat("x", 1000), nil, nil); len(got.Body) != 1000 {
			s.Errorf("of 1000 bytes, %d came", len(got.Body))
		}
		_, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: s.origin.url + "/" + strings.Repeat("x", 1001)}).AppendProto(nil))
		s.wantError("a response with a byte too much", err, "too_large: ...")
	}
}

func unreachable(s *Session) {
	_, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: s.origin.url + "/"}).AppendProto(nil))
	s.wantError("a request to where nobody listens", err, "unavailable: ...")
}

func breaksOff(s *Session) {
	for _, sent := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"} {
		s.origin.handle(func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, sent)
				conn.Close()
			}
		})
		_, err := s.Quiet(send, (&pb.Request{Method: "POST", Path: s.origin.url + "/"}).AppendProto(nil))
		s.wantError(fmt.Sprintf("an answer that is %q and no more", sent), err, "unavailable: ...")
	}
}

// secretsOnRedirect: to the same server under another name go no secrets.
func secretsOnRedirect(s *Session) {
	secrets := map[string]string{"Authorization": "Bearer secret", "Cookie": "secret=1", "X-Plain": "1"}
	port := s.origin.address()[strings.LastIndex(s.origin.address(), ":"):]
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://localhost"+port+"/end", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/end", http.StatusFound)
		}
	})
	s.http("GET", "/away", secrets, nil)
	Receive(s, s.origin.seen, "the request")
	got := Receive(s, s.origin.seen, "the redirect").header
	if got.Get("Authorization") != "" || got.Get("Cookie") != "" {
		s.Errorf("to another domain go %q", got)
	}
	s.http("GET", "/here", secrets, nil)
	Receive(s, s.origin.seen, "the request")
	if got := Receive(s, s.origin.seen, "the redirect").header; got.Get("X-Plain") != "1" {
		s.Errorf("to the same server, the redirect goes without the header X-Plain: %q", got)
	}
}

// sentOnce: a server that reads a request and hangs up may have done what it asks
// for, on a new connection and on one that was kept.
func sentOnce(s *Session) {
	for _, kept := range []bool{false, true} {
		if kept {
			s.origin.handle(answerRequest)
			s.http("GET", "/", nil, nil)
		}
		s.origin.handle(func(w http.ResponseWriter, _ *http.Request) { hangUp(w) })
		s.origin.requests.Store(0)
		_, err := s.Quiet(send, (&pb.Request{Method: "POST", Path: s.origin.url + "/", Body: []byte("order one")}).AppendProto(nil))
		s.wantError("a POST that is not answered", err, "unavailable: ...")
		if n := s.origin.requests.Load(); n != 1 {
			s.Errorf("it was sent %d times", n)
		}
	}
}

func redirects(s *Session) {
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err == nil {
			http.Redirect(w, r, "/end?of=it", status)
			return
		}
		answerRequest(w, r)
	})
	for status, method := range ordered(map[int]string{301: "GET", 302: "GET", 303: "GET", 307: "POST", 308: "POST"}) {
		answer := s.http("POST", fmt.Sprintf("/%d", status), nil, []byte("body"))
		Receive(s, s.origin.seen, "the request")
		got := Receive(s, s.origin.seen, "the redirect")
		body := map[string]string{"POST": "body"}[method]
		if got.method != method || got.uri != "/end?of=it" || string(got.body) != body || answer.StatusCode != 200 || string(answer.Body) != method+" /end?of=it" {
			s.Errorf("a POST that is redirected with %d becomes %s %s with %q, and is answered by %d %q", status, got.method, got.uri, got.body, answer.StatusCode, answer.Body)
		}
	}
}

func endlessRedirects(s *Session) {
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	answer, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: s.origin.url + "/"}).AppendProto(nil))
	if n := s.origin.requests.Load(); err == nil || n > 200 {
		s.Errorf("after %d redirects, the answer is %.200q, %v", n, answer, err)
	}
}

// undoneCodings: what is compressed without the guest's asking comes as it was; what
// the guest asks for comes as it is.
func undoneCodings(s *Session) {
	plain := []byte(strings.Repeat("plain text ", 1000))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil || z.Close() != nil {
		s.Fatalf("%v", err)
	}
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			_, _ = w.Write(plain)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	got := s.http("GET", "/", nil, nil)
	if !bytes.Equal(got.Body, plain) || got.Header["Content-Encoding"] != "" {
		s.Errorf("a guest that asks for no coding is given %d bytes of %d, in the coding %q", len(got.Body), len(plain), got.Header["Content-Encoding"])
	}
	got = s.http("GET", "/", map[string]string{"Accept-Encoding": "gzip"}, nil)
	if !bytes.Equal(got.Body, packed.Bytes()) || got.Header["Content-Encoding"] != "gzip" {
		s.Errorf("a guest that asks for gzip is given %d bytes of %d, in the coding %q", len(got.Body), packed.Len(), got.Header["Content-Encoding"])
	}
}

func slowServer(s *Session) {
	released := make(chan struct{})
	defer close(released)
	s.origin.handle(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		case <-time.After(6 * time.Second): // who does not give up is not held for ever
		}
	})
	ctx, cancel := context.WithTimeout(s.Context, 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.quiet(ctx, send, (&pb.Request{Method: "GET", Path: s.origin.url + "/"}).AppendProto(nil))
	s.wantError("a call that may take 100 ms, to a server that does not answer", err, "deadline: ...")
	if took := time.Since(begun); took > 4*time.Second {
		s.Errorf("it took %v", took)
	}
}

// requestsSideBySide: 32 requests, each of which the server answers when all have
// come.
func requestsSideBySide(s *Session) {
	const n = 32
	all := newBarrier(n)
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
		if !all.wait(r.Context()) {
			w.WriteHeader(http.StatusGatewayTimeout)
			return
		}
		answerRequest(w, r)
	})
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			var got pb.Response
			s.play(func() {
				s.perform(send, &pb.Request{Method: "GET", Path: fmt.Sprintf("%s/%d", s.origin.url, i)}, &got)
				if got.StatusCode != 200 || string(got.Body) != fmt.Sprintf("GET /%d", i) {
					s.Errorf("of %d requests at once, number %d is answered by %d %q", n, i, got.StatusCode, got.Body)
				}
			})
		})
	}
	calls.Wait()
}

func unbindInRequest(s *Session) {
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	s.origin.handle(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-proceed
		answerRequest(w, r)
	})
	called := make(chan error, 1)
	var calling sync.WaitGroup
	defer calling.Wait()
	calling.Go(func() {
		_, err := s.Quiet(send, (&pb.Request{Method: "GET", Path: s.origin.url + "/"}).AppendProto(nil))
		called <- err
	})
	defer release() // before that is waited for
	Receive(s, arrived, "the request")
	ended := s.ending()
	s.stillEnding(ended, "a call")
	release()
	if err := Receive(s, called, "the end of the call"); err != nil {
		s.Errorf("a call in hand, while its binding ends: %v", err)
	}
	if err := Receive(s, ended, "the end of the binding"); err != nil {
		s.Errorf("%v", err)
	}
}
