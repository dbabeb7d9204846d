package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// life is how long the keys of these tests live, and slack how far off an
// expiry may be: Redis counts in milliseconds too.
const (
	life  = 60 * time.Millisecond
	slack = 2 * time.Millisecond
)

// TestExpiry gives a key its life in every way there is, while other clients
// keep the server busy, and asks without a pause whether it is there. A question
// that was asked after the end must find nothing, and an answer that came before
// the end must have found it.
func TestExpiry(t *testing.T) {
	ways := map[string][][]any{
		"SET PX":               {{"SET", "k", "v", "PX", 60}},
		"PSETEX":               {{"PSETEX", "k", 60, "v"}},
		"PEXPIRE":              {{"SET", "k", "v"}, {"PEXPIRE", "k", 60}},
		"GETEX":                {{"SET", "k", "v"}, {"GETEX", "k", "PX", 60}},
		"over a longer life":   {{"SET", "k", "v", "EX", 100}, {"PEXPIRE", "k", 60}},
		"over a shorter life":  {{"SET", "k", "v", "PX", 20}, {"SET", "k", "v", "PX", 60}},
		"KEEPTTL":              {{"SET", "k", "u", "PX", 60}, {"SET", "k", "v", "KEEPTTL"}},
		"renamed":              {{"SET", "j", "v", "PX", 60}, {"RENAME", "j", "k"}, {"SET", "j", "v", "EX", 100}},
		"copied":               {{"SET", "j", "v", "PX", 60}, {"COPY", "j", "k"}, {"PERSIST", "j"}},
		"in a script":          {{"EVAL", "return redis.call('SET', 'k', 'v', 'PX', '60')", 0}},
		"in a transaction":     {{"MULTI"}, {"SET", "k", "v", "PX", 60}, {"EXEC"}},
		"all of a hash":        {{"HSET", "k", "f", "v"}, {"PEXPIRE", "k", 60}},
		"the field of a hash":  {{"HSETEX", "k", "PX", 60, "FIELDS", 1, "f", "v"}},
		"beside other keys":    {{"SET", "a", "v", "PX", 1}, {"SET", "b", "v", "PX", 30}, {"SET", "k", "v", "PX", 60}, {"SET", "c", "v", "EX", 9}},
		"in another database":  {{"SELECT", 3}, {"SET", "k", "v", "PX", 60}},
		"after a long silence": {{"BLPOP", "nothing", 0.2}, {"SET", "k", "v", "PX", 60}},
	}
	for name, commands := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			other := connect(t, s)
			go func() { // ends with the server
				for other.Incr(t.Context(), "busy").Err() == nil {
				}
			}()
			c := connect(t, s).Conn()
			defer c.Close()
			var begun []time.Time // each command
			for _, command := range commands {
				begun = append(begun, time.Now())
				if err := c.Do(t.Context(), command...).Err(); err != nil && !errors.Is(err, goredis.Nil) {
					t.Fatalf("%v: %v", command, err)
				}
			}
			watchEnd(t, c, begun[lifeBegins(commands)], time.Now())
		})
	}
}

// lifeBegins is the index of the last command that can set the life of the key
// that is k in the end.
func lifeBegins(commands [][]any) int {
	for i, command := range slices.Backward(commands) {
		if slices.Contains(command, any(60)) || command[0] == "EXEC" || command[0] == "EVAL" {
			return i
		}
	}
	return 0
}

// watchEnd asks for k until it has gone, which must be when its life is over. It
// began after begun and before done.
func watchEnd(t *testing.T, c *goredis.Conn, begun, done time.Time) {
	t.Helper()
	for asked := 0; ; asked++ {
		before := time.Now()
		n, err := c.Exists(t.Context(), "k").Result()
		after := time.Now()
		switch {
		case err != nil:
			t.Fatal(err)
		case n == 1 && before.After(done.Add(life+slack)):
			t.Fatalf("still there %v after the end", before.Sub(done)-life)
		case n == 0 && after.Before(begun.Add(life-slack)):
			t.Fatalf("gone %v before the end", life-after.Sub(begun))
		case n == 0 && asked == 0:
			t.Fatal("never seen: the test has shown nothing")
		case n == 0:
			return
		}
	}
}

// TestSlowTransaction: an expiry in a transaction counts from EXEC, however
// long ago it was queued.
func TestSlowTransaction(t *testing.T) {
	s := start(t, nil)
	c, other := connect(t, s).Conn(), connect(t, s)
	defer c.Close()
	for _, command := range [][]any{{"MULTI"}, {"SET", "k", "v", "PX", 60}} {
		if err := c.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do(t, other, "BLPOP", "nothing", 0.1)
	do(t, other, "PING")
	begun := time.Now()
	if err := c.Do(t.Context(), "EXEC").Err(); err != nil {
		t.Fatal(err)
	}
	watchEnd(t, c, begun, time.Now())
}

// TestNobodyAsks: the clock stands until somebody asks, and is right then.
func TestNobodyAsks(t *testing.T) {
	c := connect(t, start(t, nil))
	do(t, c, "SET", "short", "v", "PX", 40)
	do(t, c, "SET", "long", "v", "EX", 1000)
	do(t, c, "HSET", "h", "f", "v", "g", "v")
	do(t, c, "HEXPIRE", "h", 1, "FIELDS", 1, "f")
	begun := time.Now()
	do(t, c, "BLPOP", "nothing", 1.1) // no command comes in for so long

	if got := do(t, c, "GET", "short"); got != nil {
		t.Errorf("short = %v", got)
	}
	left := time.Duration(do(t, c, "PTTL", "long").(int64)) * time.Millisecond
	if want := 1000*time.Second - time.Since(begun); left > want+50*time.Millisecond || left < want-50*time.Millisecond {
		t.Errorf("long has %v left, want %v", left, want)
	}
	if got := fmt.Sprint(do(t, c, "HKEYS", "h")); got != "[g]" {
		t.Errorf("h has %s, want [g]: the other field has expired", got)
	}
	seconds := do(t, c, "TIME").([]any)[0].(string)
	if now := fmt.Sprint(time.Now().Unix()); seconds != now && seconds != fmt.Sprint(time.Now().Unix()-1) {
		t.Errorf("TIME says %s, it is %s", seconds, now)
	}
	if id := do(t, c, "XADD", "s", "*", "f", "v").(string); !strings.HasPrefix(id, seconds[:9]) {
		t.Errorf("XADD gave the ID %s at %s", id, seconds)
	}
}

// BenchmarkGet shows what keys that expire cost those who have nothing to do
// with them: nothing.
func BenchmarkGet(b *testing.B) {
	for _, keys := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("%d expiring keys", keys), func(b *testing.B) {
			c := connect(b, start(b, nil))
			fill(b, c, keys)
			for b.Loop() {
				if err := c.Get(b.Context(), "none").Err(); !errors.Is(err, goredis.Nil) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSetEx shows what it costs to set an expiry among many keys.
func BenchmarkSetEx(b *testing.B) {
	for _, keys := range []int{0, 1_000, 10_000} {
		b.Run(fmt.Sprintf("%d expiring keys", keys), func(b *testing.B) {
			c := connect(b, start(b, nil))
			fill(b, c, keys)
			for b.Loop() {
				if err := c.Set(b.Context(), "k", "v", time.Hour).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fill sets so many keys that expire in an hour, in one script.
func fill(b *testing.B, c *goredis.Client, keys int) {
	b.Helper()
	do(b, c, "EVAL", "for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'key:' .. i, 'v', 'EX', '3600') end", 0, keys)
}
