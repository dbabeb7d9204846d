package fault

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds how long a relay tries to reach the server.
const dialTimeout = 5 * time.Second

// relay passes connections on to a server, and cuts them.
type relay struct {
	target   string
	listener net.Listener
	serving  sync.WaitGroup
	ctx      context.Context // ends with the relay
	stop     context.CancelFunc

	mu    sync.Mutex
	isCut bool
	conns map[*net.TCPConn]bool // both sides of all
}

// newRelay listens beside target, on the same host, which is this machine.
func newRelay(target string) (*relay, error) {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	r := &relay{target: target, conns: make(map[*net.TCPConn]bool)}
	if r.listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		return nil, err
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.serving.Go(r.accept)
	return r, nil
}

// port is where the relay listens.
func (r *relay) port() string {
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	return port
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // for want of files, mostly
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.ctx.Done():
			}
			continue
		}
		r.serving.Go(func() { r.pass(conn.(*net.TCPConn)) })
	}
}

// pass joins a connection with one to the server.
func (r *relay) pass(client *net.TCPConn) {
	defer r.drop(client)
	if !r.keep(client) {
		return
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(r.ctx, "tcp", r.target)
	if err != nil {
		reset(client)
		return
	}
	server := conn.(*net.TCPConn)
	defer r.drop(server)
	if !r.keep(server) {
		return
	}
	var up sync.WaitGroup
	up.Go(func() { carry(server, client) })
	carry(client, server)
	up.Wait()
}

// carry copies until one side ends, and tells the other.
func carry(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to)
		reset(from)
		return
	}
	to.CloseWrite() //nolint:errcheck // it is gone then
}

// keep takes a connection in, or resets it where all are cut.
func (r *relay) keep(c *net.TCPConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isCut || r.ctx.Err() != nil {
		reset(c)
		return false
	}
	r.conns[c] = true
	return true
}

func (r *relay) drop(c *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	c.Close()
}

// reset ends a connection in the way of a server that died.
func reset(c *net.TCPConn) {
	c.SetLinger(0) //nolint:errcheck // it is gone then
	c.Close()
}

// cut resets all connections, and those to come.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = true
	for c := range r.conns {
		reset(c)
	}
}

// mend lets connections through again.
func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = false
}

// close ends the relay and all that it carries.
func (r *relay) close() {
	r.stop()
	r.listener.Close()
	r.cut()
	r.serving.Wait()
}
