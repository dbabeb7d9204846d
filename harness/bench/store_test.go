//go:build linux

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// newStore starts a key-value server that holds one key, "benchmark": Redis if
// there is one and it need not be slow, otherwise one that knows no more than
// that. It returns its URL.
func newStore(b testing.TB, delay time.Duration) string {
	b.Helper()
	if server, err := exec.LookPath("redis-server"); err == nil && delay == 0 {
		return startRedis(b, server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serveStore(conn, delay)
			}()
		}
	}()
	return fmt.Sprintf("redis://%s/0", l.Addr())
}

func startRedis(b testing.TB, server string) string {
	b.Helper()
	port := freePort(b)
	cmd := exec.Command(server, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it runs
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	address := "127.0.0.1:" + strconv.Itoa(port)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			defer conn.Close()
			if _, err := io.WriteString(conn, "SET benchmark value\r\n"); err != nil {
				b.Fatal(err)
			}
			if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
				b.Fatal(err)
			}
			return "redis://" + address + "/0"
		}
		<-tick.C
	}
	b.Fatal("redis-server does not listen")
	return ""
}

// serveStore answers GET after a delay, and what a client says first at once.
// https://redis.io/docs/latest/develop/reference/protocol-spec/
func serveStore(conn net.Conn, delay time.Duration) {
	r := bufio.NewReader(conn)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		answer := "+OK\r\n"
		switch strings.ToUpper(args[0]) {
		case "GET":
			wait := time.NewTimer(delay)
			<-wait.C
			answer = "$5\r\nvalue\r\n"
		case "HELLO":
			answer = "-ERR unknown command 'HELLO'\r\n"
		case "PING":
			answer = "+PONG\r\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// readCommand reads an array of bulk strings.
func readCommand(r *bufio.Reader) (args []string, err error) {
	n, err := readSize(r, '*')
	if err != nil {
		return nil, err
	}
	for range n {
		size, err := readSize(r, '$')
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		args = append(args, string(b[:size]))
	}
	if len(args) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return args, nil
}

func readSize(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("the client sent %q", line)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
