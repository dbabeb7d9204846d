// Package tcpproxy stands between a client and a server in the tests of
// providers, and does what networks do: it cuts, it hangs, it refuses.
package tcpproxy

import (
	"net"
	"sync"
)

// Proxy passes on what comes in to one address to another.
type Proxy struct {
	target   string
	listener net.Listener

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	refuses bool
	gate    *sync.Cond // on mu
	hangs   bool
	closed  bool
	running sync.WaitGroup
}

// Start starts a proxy for the server at target.
func Start(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, conns: make(map[net.Conn]struct{})}
	p.gate = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

// Addr is the address for clients.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil || !p.enter(client, server) {
			client.Close()
			if server != nil {
				server.Close()
			}
			continue
		}
		p.running.Go(func() { p.pass(client, server) })
		p.running.Go(func() { p.pass(server, client) })
	}
}

func (p *Proxy) enter(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses || p.closed {
		return false
	}
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	return true
}

// pass copies one direction, and waits while the proxy hangs.
func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		for p.hangs && !p.closed {
			p.gate.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Cut ends all connections, and refuses new ones until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
	for conn := range p.conns {
		conn.Close()
	}
	clear(p.conns)
}

// Mend lets new connections in.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
}

// Hang has nothing pass any more, in either direction, until it is called with
// false.
func (p *Proxy) Hang(hangs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs = hangs
	p.gate.Broadcast()
}

// Close ends the proxy with all connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.gate.Broadcast()
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.listener.Close()
	p.running.Wait()
}
