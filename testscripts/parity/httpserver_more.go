package parity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/httppb"
)

func noResponse(h *site) {
	for _, payload := range []string{"\xff", "\x08", "\x22\x05x", "\x12\x01\xff", "\x00", "not a response"} {
		h.answer = func(context.Context, *pb.Request) ([]byte, error) { return []byte(payload), nil }
		h.fails(fmt.Sprintf("the response %q", payload), http.StatusInternalServerError)
	}
}

func forgedHeaders(h *site) {
	for name, value := range ordered(map[string]string{
		"": "x", "X Y": "x", "X:Y": "x", "X\r\nX-Forged": "1", "Ü": "x", "X-Break": "a\r\nX-Forged: 1", "X-Body": "a\r\n\r\n<forged>",
		"X-Line": "a\nX-Forged: 1", "X-Return": "a\rX-Forged: 1", "X-Null": "a\x00b", "X-Delete": "a\x7fb", "Content-Type": "a\r\nX-Forged: 1",
	}) {
		h.respond(&pb.Response{StatusCode: 200, Header: map[string]string{name: value}, Body: []byte("body")})
		response, body := h.answerTo("GET")
		if response.StatusCode != http.StatusInternalServerError || response.Header.Get("X-Forged") != "" || strings.Contains(body, "<forged>") {
			h.Errorf("the header %q: %q is sent in %s %q %.100q", name, value, response.Status, response.Header, body)
		}
	}
}

func ownLength(h *site) {
	for _, length := range []string{"3", "0", "9", "-1", "x", "1, 2"} {
		h.respond(&pb.Response{StatusCode: 200, Header: map[string]string{"Content-Length": length}, Body: []byte("12345")})
		response, body := h.answerTo("GET")
		if response.StatusCode != 200 || body != "12345" || len(response.Header["Content-Length"]) != 1 || response.Header.Get("Content-Length") != "5" {
			h.Errorf("with the guest's Content-Length %s, 5 bytes are sent as %s %q with %q", length, response.Status, response.Header, body)
		}
	}
}

func sentCookies(h *site) {
	h.respond(&pb.Response{StatusCode: 200, Header: map[string]string{"Set-Cookie": "a=1; Expires=Thu, 01 Jan 2037 00:00:00 GMT\nb=2"}})
	response, _ := h.answerTo("GET")
	got := response.Header["Set-Cookie"]
	if len(got) != 2 || got[0] != "a=1; Expires=Thu, 01 Jan 2037 00:00:00 GMT" || got[1] != "b=2" {
		h.Errorf("two cookies are sent as %q", got)
	}
}

// bodiless: what comes after the headers, on a connection that is kept, is the next
// response.
func bodiless(h *site) {
	for _, c := range []struct {
		method string
		status uint32
	}{{"HEAD", 200}, {"HEAD", 404}, {"GET", 204}, {"GET", 304}, {"POST", 204}} {
		h.respond(&pb.Response{StatusCode: c.status, Body: []byte("a body")})
		conn, err := new(net.Dialer).DialContext(h.Context, "tcp", h.address)
		if err != nil {
			h.Fatalf("%v", err)
		}
		_ = conn.SetDeadline(time.Now().Add(receiveTimeout)) // a TCP connection has deadlines
		lines := bufio.NewReader(conn)
		for range 2 {
			_, err = fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: example.com\r\n\r\n", c.method)
			var response *http.Response
			if err == nil {
				response, err = http.ReadResponse(lines, &http.Request{Method: c.method})
			}
			if err == nil && response.StatusCode != int(c.status) {
				err = errors.New(response.Status)
			}
			if err == nil && lines.Buffered() > 0 {
				rest, _ := lines.Peek(lines.Buffered()) // that many are there
				err = fmt.Errorf("%q comes after the headers", rest)
			}
			if err != nil {
				h.Errorf("the answer to %s, with the status %d: %v", c.method, c.status, err)
				break
			}
		}
		conn.Close()
	}
}

func sentHops(h *site) {
	for name, value := range ordered(map[string]string{
		"Connection": "X-A", "Keep-Alive": "timeout=9", "Proxy-Connection": "close", "Transfer-Encoding": "chunked", "Upgrade": "h2c", "Trailer": "X-A", "Te": "gzip",
	}) {
		h.respond(&pb.Response{StatusCode: 200, Header: map[string]string{name: value}, Body: []byte("body")})
		response, body := h.answerTo("GET")
		sent := response.Header.Get(name)
		if len(response.TransferEncoding) > 0 {
			sent = "chunked"
		}
		if body != "body" || sent == value {
			h.Errorf("the guest's header %s: %s is sent as %q, in %s with %q", name, value, sent, response.Status, body)
		}
	}
}

// failing has the guest fail with an error of a code.
func (h *site) failing(code capability.Code) {
	h.answer = func(context.Context, *pb.Request) ([]byte, error) {
		return nil, &capability.Error{Code: code, Message: "secret message", Detail: "secret detail"}
	}
}

func failedGuest(h *site) {
	for _, code := range []capability.Code{capability.CodeGuest, capability.CodeTrap, capability.CodeMemory} {
		h.failing(code)
		h.fails("an error of the kind "+string(code), http.StatusInternalServerError)
	}
	h.respond(&pb.Response{StatusCode: 200})
	h.fails("what comes after it", http.StatusOK)
}

func statusOf(status int, codes ...capability.Code) func(h *site) {
	return func(h *site) {
		for _, code := range codes {
			h.failing(code)
			h.fails("an error of the kind "+string(code), status)
		}
	}
}

// hiddenErrors: the binding is none of development.
func hiddenErrors(h *site) {
	for _, code := range []capability.Code{
		capability.CodeGuest, capability.CodeTrap, capability.CodeMemory, capability.CodeProvider, capability.CodeDenied, capability.CodeDeadline, capability.CodeUnavailable, capability.CodeInternal,
	} {
		h.failing(code)
		if response, body := h.answerTo("GET"); strings.Contains(fmt.Sprint(body, response.Header, response.Status), "secret") {
			h.Errorf("an error of the kind %s is sent as %s %q %q", code, response.Status, response.Header, body)
		}
	}
}

func goneClient(h *site) {
	arrived, gone := make(chan struct{}, 1), make(chan error, 1)
	h.answer = func(ctx context.Context, _ *pb.Request) ([]byte, error) {
		arrived <- struct{}{}
		select {
		case <-ctx.Done():
			gone <- nil
			return nil, ctx.Err()
		case <-time.After(receiveTimeout / 2):
			gone <- errors.New("it was not ended in time")
			return nil, nil
		}
	}
	conn, err := new(net.Dialer).DialContext(h.Context, "tcp", h.address)
	if err != nil {
		h.Fatalf("%v", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
		h.Fatalf("%v", err)
	}
	Receive(h.Session, arrived, "the request")
	conn.Close()
	if err := Receive(h.Session, gone, "the end of the guest's call"); err != nil {
		h.Errorf("the call of a client that has gone away: %v", err)
	}
}

// handledAtOnce: 32 requests, each of which the guest answers when all have come.
func handledAtOnce(h *site) {
	const n = 32
	all := newBarrier(n)
	h.answer = func(ctx context.Context, r *pb.Request) ([]byte, error) {
		if !all.wait(ctx) {
			return nil, errors.New("the others have not come")
		}
		return (&pb.Response{Body: []byte(r.Path)}).AppendProto(nil), nil
	}
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			h.play(func() {
				response, body := h.quietly("GET", fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", i+10))
				if response.StatusCode != 200 || body != fmt.Sprintf("/%d", i+10) {
					h.Errorf("of %d requests at once, number %d is answered by %s %q", n, i, response.Status, body)
				}
			})
		})
	}
	clients.Wait()
}

func unbindInHandler(h *site) {
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	h.answer = func(context.Context, *pb.Request) ([]byte, error) {
		arrived <- struct{}{}
		<-proceed
		return (&pb.Response{Body: []byte("served")}).AppendProto(nil), nil
	}
	var client sync.WaitGroup
	defer client.Wait()
	client.Go(func() {
		h.play(func() {
			if response, body := h.answerTo("GET"); response.StatusCode != 200 || body != "served" {
				h.Errorf("a request in hand, while the binding ends, is answered by %s %q", response.Status, body)
			}
		})
	})
	defer release() // before that is waited for
	Receive(h.Session, arrived, "the request")
	ended := h.ending()
	h.stillEnding(ended, "a request")
	release()
	if err := Receive(h.Session, ended, "the end of the binding"); err != nil {
		h.Errorf("%v", err)
	}
}

func nothingHandled(h *site) {
	h.fails("a request before the end", http.StatusOK)
	before := h.handled.Load()
	if err := h.unbind(h.Context); err != nil {
		h.Errorf("%v", err)
	}
	if conn, err := new(net.Dialer).DialContext(h.Context, "tcp", h.address); err == nil {
		_ = conn.SetDeadline(time.Now().Add(receiveTimeout)) // a TCP connection has deadlines
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
		_, _ = io.ReadAll(conn) // an end is what is right
		conn.Close()
	}
	if n := h.handled.Load(); n != before {
		h.Errorf("the guest handled %d requests after the end of the binding", n-before)
	}
}
