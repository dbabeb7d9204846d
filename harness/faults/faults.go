// Package faults puts a proxy before a service, through which clients reach it as
// if nothing was between them, until something goes wrong on purpose: answers come
// late or slowly or not at all, connections are reset, new ones refused.
//
// It is Toxiproxy, in this process. Faults are those of connections and their
// bytes; what a service itself does wrong is not among them. Where the service
// cannot be reached, a client's connection is closed at once.
package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy is a proxy before a service. Its methods are for several goroutines at
// once; each fault is set or replaced without the others, and Heal ends all.
type Proxy struct {
	mu     sync.Mutex
	proxy  *toxiproxy.Proxy
	addr   string
	closed bool
}

// ErrClosed is what methods return after Close.
var ErrClosed = errors.New("harness/faults: the proxy is closed")

// Start starts a proxy on 127.0.0.1 before the service at upstream, host:port. It
// serves until Close.
func Start(upstream string) (*Proxy, error) {
	if _, _, err := net.SplitHostPort(upstream); err != nil {
		return nil, fmt.Errorf("harness/faults: the service's address: %w", err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{proxy: toxiproxy.NewProxy(server, upstream, "127.0.0.1:0", upstream)}
	if err := p.proxy.Start(); err != nil {
		return nil, fmt.Errorf("harness/faults: %w", err)
	}
	p.addr = p.proxy.Listen
	return p, nil
}

// Before starts a proxy before the service at a URL, and returns that URL with the
// proxy's address in it.
func Before(service string) (*Proxy, string, error) {
	u, err := url.Parse(service)
	if err != nil {
		return nil, "", fmt.Errorf("harness/faults: %w", err)
	}
	p, err := Start(u.Host)
	if err != nil {
		return nil, "", err
	}
	u.Host = p.Addr()
	return p, u.String(), nil
}

// Addr is where clients reach the service through the proxy, host:port. It stays
// the same, cut or not.
func (p *Proxy) Addr() string { return p.addr }

// The directions of a fault.
const (
	toService = "upstream"
	toClient  = "downstream"
)

// Latency delays what the service sends by d, and by up to jitter more or less.
func (p *Proxy) Latency(d, jitter time.Duration) error {
	return p.set("latency", map[string]any{"latency": d.Milliseconds(), "jitter": jitter.Milliseconds()}, toClient)
}

// Bandwidth lets through so many KiB in a second, in each direction.
func (p *Proxy) Bandwidth(kib int64) error {
	return p.set("bandwidth", map[string]any{"rate": kib}, toService, toClient)
}

// Silence lets nothing through, either way: connections stay and nobody answers.
func (p *Proxy) Silence() error {
	return p.set("timeout", map[string]any{"timeout": 0}, toService, toClient)
}

// Reset resets every connection, those that come as well.
func (p *Proxy) Reset() error {
	return p.set("reset_peer", map[string]any{"timeout": 0}, toClient)
}

// Cut ends every connection and refuses new ones.
func (p *Proxy) Cut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.proxy.Stop()
	return nil
}

// Heal ends all faults. Connections that a fault has touched may be lost.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.proxy.Toxics.ResetToxics(context.Background())
	if err := p.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return fmt.Errorf("harness/faults: %w", err)
	}
	return nil
}

// Close ends the proxy and every connection. It may be called twice.
func (p *Proxy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.proxy.Stop()
	}
	return nil
}

// set sets a fault, or another measure of it, in directions.
func (p *Proxy) set(kind string, attributes map[string]any, directions ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	for _, direction := range directions {
		name := kind + "_" + direction
		request, err := json.Marshal(map[string]any{
			"name": name, "type": kind, "stream": direction, "toxicity": 1, "attributes": attributes,
		})
		if err != nil {
			return err
		}
		if p.proxy.Toxics.GetToxic(name) != nil {
			_, err = p.proxy.Toxics.UpdateToxicJson(name, strings.NewReader(string(request)))
		} else {
			_, err = p.proxy.Toxics.AddToxicJson(strings.NewReader(string(request)))
		}
		if err != nil {
			return fmt.Errorf("harness/faults: %s: %w", kind, err)
		}
	}
	return nil
}
