package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/waxosuit/waxo/emulators/redis"
)

// start runs a server for the test.
func start(t testing.TB, opts *redis.Options) *redis.Server {
	t.Helper()
	s, err := redis.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect makes a client of a server.
func connect(t testing.TB, s *redis.Server) *goredis.Client {
	t.Helper()
	opts, err := goredis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.MaxRetries = -1
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := goredis.NewClient(opts)
	t.Cleanup(func() { c.Close() })
	return c
}

// do performs a command that must not fail, other than with nil.
func do(t testing.TB, c *goredis.Client, args ...any) any {
	t.Helper()
	v, err := c.Do(t.Context(), args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("%q: %v", args, err)
	}
	return v
}

func TestStartAndClose(t *testing.T) {
	s := start(t, nil)
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	host, _, err := net.SplitHostPort(s.Addr())
	if err != nil || host != "127.0.0.1" {
		t.Errorf("listens on %s, want 127.0.0.1 alone", s.Addr())
	}
	if want := "redis://" + s.Addr() + "/0"; s.URL() != want {
		t.Errorf("URL %s, want %s", s.URL(), want)
	}
	if _, err := redis.Start(t.Context(), &redis.Options{Addr: s.Addr()}); err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("a second server on %s: %v, want an error with the address", s.Addr(), err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready after Close")
	}
}

func TestReadyHasADeadline(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := s.Ready(ctx); err == nil {
		t.Error("ready though the context had ended")
	}
}

// TestCloseLeavesNothing: clients that wait, listen and lie idle do not keep
// the server, and no goroutine stays.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s, err := redis.Start(t.Context(), &redis.Options{File: t.TempDir() + "/state"})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"BLPOP nothing 0\r\n", "SUBSCRIBE news\r\n", "PING\r\n", "MULTI\r\n", ""} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "PING\r\n"+command); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != "+PONG\r\n" {
			t.Fatal(line, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wait(t, "the server's goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// wait polls until something holds, or fails the test.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestHostileFraming sends what no client would: it costs the sender its
// connection at most.
func TestHostileFraming(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct{ sent, want string }{
		{"*0\r\nPING\r\n", "+PONG\r\n"},
		{"*-1\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
		{"\r\n\n  \r\nPING\r\n", "+PONG\r\n"},
		{"ping\n", "+PONG\r\n"},
		{"*1\r\n$4\r\nping\r\n", "+PONG\r\n"},
		{"ECHO  hello\r\n", "$5\r\nhello\r\n"},
		{"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$0\r\n\r\n"},
		{"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*1\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*1\r\n$9223372036854775807\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*1\r\n:4\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*99999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{strings.Repeat("x", 1<<17), "-ERR Protocol error: too big inline request\r\n"},
	} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		go io.WriteString(conn, c.sent) // the server may hang up in the middle
		got := make([]byte, len(c.want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != c.want {
			t.Errorf("%.30q: answered %q (%v), want %q", c.sent, got, err, c.want)
		}
		conn.Close()
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestDatabases(t *testing.T) {
	c := connect(t, start(t, nil))
	for _, command := range []string{"SELECT 16", "SWAPDB 0 16", "MOVE a 16", "COPY a b DB 16", "EVAL return{redis.call('SELECT','16')} 0"} {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := c.Do(t.Context(), args...).Err(); err == nil || !strings.Contains(err.Error(), "DB index is out of range") {
			t.Errorf("%s: %v", command, err)
		}
	}
	do(t, c, "SELECT", 15)
}

// TestScriptsCountStrictly: what miniredis takes for a number and Redis does
// not is refused where the key-value provider counts.
func TestScriptsCountStrictly(t *testing.T) {
	c := connect(t, start(t, nil))
	for _, value := range []string{"+1", "01", "-0", " 1", "1 ", "", "1.0", "0x1", "9223372036854775808"} {
		do(t, c, "SET", "n", value)
		if err := c.Eval(t.Context(), "return redis.call('INCRBY', KEYS[1], 1)", []string{"n"}).Err(); err == nil || !strings.Contains(err.Error(), "ERR value is not an integer or out of range") {
			t.Errorf("INCRBY of %q: %v", value, err)
		}
		if got := do(t, c, "GET", "n"); got != value {
			t.Errorf("INCRBY changed %q to %q", value, got)
		}
	}
	do(t, c, "SET", "n", "-5")
	if got := do(t, c, "EVAL", "return redis.call('INCRBY', 'n', 7)", 0); got != int64(2) {
		t.Errorf("-5 + 7 = %v", got)
	}
}

// TestManyClients mixes scripts, transactions, expiry and waiting: nothing is
// lost, nothing hangs.
func TestManyClients(t *testing.T) {
	c := connect(t, start(t, &redis.Options{File: t.TempDir() + "/state"}))
	const clients, rounds = 16, 50
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			ctx := t.Context()
			for j := range rounds {
				err := errors.Join(
					c.Eval(ctx, "return redis.call('INCRBY', KEYS[1], 1)", []string{"n"}).Err(),
					c.Set(ctx, fmt.Sprint("k", i, j%5), j, time.Millisecond).Err(),
					c.Eval(ctx, "redis.call('SET', KEYS[1], 1, 'PX', 1); return 1", []string{fmt.Sprint("s", i)}).Err(),
					c.RPush(ctx, "list", j).Err(),
					c.BLPop(ctx, 0, "list").Err(),
				)
				tx := c.TxPipeline()
				tx.Incr(ctx, "m")
				tx.PExpire(ctx, "x", time.Millisecond)
				if _, e := tx.Exec(ctx); err != nil || e != nil {
					t.Error(err, e)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, key := range []string{"n", "m"} {
		if got := do(t, c, "GET", key); got != fmt.Sprint(clients*rounds) {
			t.Errorf("%s = %v, want %d", key, got, clients*rounds)
		}
	}
}
