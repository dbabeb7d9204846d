package hostsuite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/emulators/redis"
)

// redisFake is the Redis server of a script: the embedded one behind a proxy,
// which knows what came, and can hold the answers back.
type redisFake struct {
	server  *redis.Server
	address string
	seen    *output // a line for each command
	serving sync.WaitGroup

	mu       sync.Mutex
	gate     chan struct{} // closed: answers pass
	listener net.Listener  // nil while it is down
	conns    []net.Conn
}

func startRedis(ctx context.Context) (*redisFake, error) {
	server, err := redis.Start(ctx, nil)
	if err != nil {
		return nil, err
	}
	f := &redisFake{server: server, address: "127.0.0.1:0", seen: newOutput(), gate: make(chan struct{})}
	close(f.gate)
	if err := f.up(); err != nil {
		server.Close()
		return nil, err
	}
	return f, nil
}

func (f *redisFake) url() string { return "redis://" + f.address + "/0" }

// up has the server listen, where it did before if it did.
func (f *redisFake) up() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		return err
	}
	f.listener, f.address = l, l.Addr().String()
	f.serving.Go(func() { f.accept(l) })
	return nil
}

// down ends all connections, and lets none in. What is stored stays.
func (f *redisFake) down() {
	f.mu.Lock()
	if f.listener != nil {
		f.listener.Close()
		f.listener = nil
	}
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.release()
	f.serving.Wait()
}

func (f *redisFake) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.server.Addr())
		if err != nil {
			client.Close()
			continue
		}
		if !f.keep(client, server) {
			client.Close()
			server.Close()
			continue
		}
		f.serving.Go(func() {
			defer server.Close()
			f.listen(client, server)
		})
		f.serving.Go(func() {
			defer client.Close()
			f.answer(client, server)
		})
	}
}

// keep takes connections down, to be closed at the end.
func (f *redisFake) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener == nil {
		return false
	}
	f.conns = append(f.conns, conns...)
	return true
}

// listen passes commands on and takes them down.
func (f *redisFake) listen(client, server net.Conn) {
	r := bufio.NewReader(io.TeeReader(client, server))
	for {
		words, err := readCommand(r)
		if err != nil {
			return
		}
		fmt.Fprintf(f.seen, "%s\n", strings.Join(words, " "))
	}
}

// readCommand reads a command as clients send it: an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readCount(r, '*')
	if err != nil {
		return nil, err
	}
	words := make([]string, 0, min(n, 16))
	for range n {
		size, err := readCount(r, '$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

func readCount(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("redis: %q where %q was wanted", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// answer passes answers on, when they may pass.
func (f *redisFake) answer(client, server net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if n > 0 {
			f.mu.Lock()
			gate := f.gate
			f.mu.Unlock()
			<-gate
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold keeps answers back until release.
func (f *redisFake) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = make(chan struct{})
}

func (f *redisFake) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.gate:
	default:
		close(f.gate)
	}
}

// do sends a command to the server itself, and returns the answer's text; ok is
// false where there is none.
func (f *redisFake) do(ctx context.Context, words ...string) (text string, ok bool, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.server.Addr())
	if err != nil {
		return "", false, err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", false, err
	}
	line = strings.TrimSpace(line)
	switch kind, rest := line[0], line[1:]; kind {
	case '+', ':':
		return rest, true, nil
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", false, err
		}
		b := make([]byte, n)
		_, err = io.ReadFull(r, b)
		return string(b), true, err
	default:
		return "", false, fmt.Errorf("redis: %s", line)
	}
}

func (f *redisFake) close() {
	f.down()
	f.server.Close()
	f.seen.end()
}
