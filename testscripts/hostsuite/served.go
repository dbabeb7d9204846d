package hostsuite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// served is a host that is reached by HTTP.
type served struct {
	port   string
	kept   io.Closer // keeps others from the port
	client *http.Client
	out    *output
}

// newServed makes one that shall listen on a port that is free. It is to be released.
func newServed(p *ports) (*served, error) {
	port, kept, err := p.take()
	if err != nil {
		return nil, err
	}
	return &served{
		port: port, kept: kept, out: newOutput(),
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// release gives back what a host that has ended took.
func (h *served) release() {
	h.client.CloseIdleConnections()
	h.kept.Close()
}

func (h *served) address() string { return net.JoinHostPort("127.0.0.1", h.port) }

// poll is how often a host is asked whether it listens: nothing tells us.
const poll = 2 * time.Millisecond

// await waits until the host listens, or has ended.
func (h *served) await(ctx context.Context, exited <-chan struct{}, reason func() error) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		conn, err := net.DialTimeout("tcp", h.address(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			if reason() == nil {
				return fmt.Errorf("the host ended with the exit status 0 before it served; a module that it refuses must have it fail. It said:\n%s", h.out)
			}
			return &refusal{text: h.out.String()}
		case <-ctx.Done():
			return fmt.Errorf("the host neither listens on %s nor ends. It said:\n%s", h.address(), h.out)
		case <-ticker.C:
		}
	}
}

func (h *served) output() *output { return h.out }

func (h *served) do(ctx context.Context, r *request) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+h.address(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(r.path, "?")
	req.URL.Opaque, req.URL.RawQuery = "//"+h.address()+path, query
	for name, values := range r.header {
		if req.Header[name] = values; name == "Host" {
			req.Host = values[0]
		}
	}
	if r.header.Get("Transfer-Encoding") == "chunked" {
		req.ContentLength = -1
		req.Header.Del("Transfer-Encoding")
	}
	res, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &response{status: res.StatusCode, header: res.Header, body: body}, nil
}

// raw sends bytes that need not be HTTP, and reads the answer.
func (h *served) raw(ctx context.Context, text string) (*response, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.address())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, fmt.Errorf("what came is no HTTP: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return &response{status: res.StatusCode, header: res.Header, body: body}, err
}

// ports hands out ports that nobody listens on, below those that systems give to
// connections.
type ports struct{ last atomic.Uint32 }

const (
	firstPort = 30000
	manyPorts = 2700
)

func newPorts() *ports {
	p := &ports{}
	p.last.Store(rand.Uint32N(manyPorts))
	return p
}

// take returns a port, and what keeps it from other suites until it is closed: that
// nobody listens there says nothing of the next moment. It is the same port of UDP,
// which hosts leave alone.
func (p *ports) take() (port string, kept io.Closer, err error) {
	for range manyPorts {
		port := strconv.Itoa(firstPort + int(p.last.Add(1)%manyPorts))
		address := net.JoinHostPort("127.0.0.1", port)
		kept, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err == nil {
			return port, kept, l.Close()
		}
		kept.Close()
	}
	return "", nil, fmt.Errorf("no port from %d to %d is free", firstPort, firstPort+manyPorts-1)
}
