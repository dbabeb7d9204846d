package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/cputime"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// echo does in one call what a guest that echoes does, at the least cost.
type echo struct{}

func (echo) Dispatch(_ context.Context, _ string, payload, into []byte) (capability.Reply, error) {
	body, err := bodyOf(payload)
	if err != nil {
		return capability.Reply{}, err
	}
	into = append(into[:0], "\x08\xc8\x01\x1a\x28\x0a\x0cContent-Type\x12\x18application/octet-stream"...)
	return capability.Reply{Payload: wire.AppendBytes(append(into, 4<<3|byte(wire.Bytes)), body)}, nil
}

// bodyOf finds the body in the payload of a request.
func bodyOf(payload []byte) (body []byte, err error) {
	for len(payload) > 0 && err == nil {
		var number int
		var t wire.Type
		if number, t, payload, err = wire.ReadTag(payload); err != nil {
			break
		}
		if number == 5 && t == wire.Bytes {
			body, payload, err = wire.ReadBytes(payload)
		} else {
			payload, err = wire.Skip(payload, number, t)
		}
	}
	return body, err
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

// BenchmarkEcho has another process send requests over 64 connections, in
// turns to the provider and to plain net/http, and reports what each of them
// costs this process: CPU time, which is steadier than time, and allocations.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			p := New(nil)
			binding := capability.Binding{BindingID: bindingID, Config: map[string]string{"address": "127.0.0.1:0"}}
			if err := p.Bind(b.Context(), binding, echo{}); err != nil {
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

			ours := newSender(b, p.Addr(bindingID).String(), size)
			theirs := newSender(b, listener.Addr().String(), size)
			requests := max(64, (64<<20)/(size+16<<10))
			var our, their cputime.Meter
			for b.Loop() {
				our.Round(b, requests, func() { ours.send(b, requests) })
				their.Round(b, requests, func() { theirs.send(b, requests) })
			}
			our.Report(b, "provider", &their, "net-http")
		})
	}
}

// sender is a process that sends requests to one address.
type sender struct {
	requests io.Writer
	done     *bufio.Reader
}

func newSender(b *testing.B, addr string, size int) *sender {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), sendLoad+"="+addr+" "+strconv.Itoa(size))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	s := &sender{requests: in, done: bufio.NewReader(out)}
	s.send(b, 640) // to connect and to warm up
	return s
}

func (s *sender) send(b *testing.B, requests int) {
	if _, err := fmt.Fprintln(s.requests, requests); err != nil {
		b.Fatal(err)
	}
	if _, err := s.done.ReadString('\n'); err != nil {
		b.Fatal(err)
	}
}

// sendRequests is the other process: for each number on its input it sends so
// many requests to an address, with a body of so many bytes.
func sendRequests(args string) error {
	addr, size, _ := strings.Cut(args, " ")
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	request := fmt.Appendf(nil, "POST /path HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", addr, n)
	request = append(request, bytes.Repeat([]byte("x"), n)...)
	work, done := make(chan struct{}), make(chan error)
	for range 64 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		go func() {
			r := bufio.NewReader(c)
			for range work {
				done <- exchangeOnce(c, r, request, n)
			}
		}()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println("done") {
		count, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		go func() {
			for range count {
				work <- struct{}{}
			}
		}()
		for range count {
			if err := <-done; err != nil {
				return err
			}
		}
	}
	return nil
}

func exchangeOnce(c net.Conn, r *bufio.Reader, request []byte, size int) error {
	sent := make(chan error, 1)
	if len(request) < 16<<10 {
		_, err := c.Write(request)
		sent <- err
	} else {
		go func() {
			_, err := c.Write(request)
			sent <- err
		}()
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != int64(size) || res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %d bytes, %v", res.StatusCode, n, err)
	}
	return <-sent
}

// BenchmarkHandler is the provider's own work, without the network.
func BenchmarkHandler(b *testing.B) {
	p := New(nil)
	h := newServer(p, capability.Binding{}, echo{}, nil).handler
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
