package redis_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/emulators/redis"
)

// binary is no UTF-8, and has what formats trip over.
const binary = "\x00\xff\xfe\"\\\r\n\u2028"

// everything fills a server with all kinds, and looks reads them back.
var (
	everything = [][]any{
		{"SET", "string", "v"}, {"SET", "empty", ""}, {"SET", "", "the empty key"}, {"SET", binary, binary},
		{"SET", "expires", "v", "EX", 1000}, {"SET", "short", "v", "PX", 1}, {"SET", "<html> & é 世界 🙂", "</html>"},
		{"RPUSH", "list", "b", "a", "b", binary, ""}, {"EXPIRE", "list", 2000},
		{"SADD", "set", "b", "a", binary, ""},
		{"HSET", "hash", "f", "v", binary, binary}, {"HSET", "fields", "f", "v", "g", "v"}, {"HEXPIRE", "fields", 3000, "FIELDS", 1, "f"},
		{"ZADD", "sorted", 1.5, "b", "-inf", "a", "+inf", "c", 0.1, binary, 1e300, "d"},
		{"XADD", "stream", "5-1", "f", "v", "f", binary}, {"XADD", "stream", "5-2", "g", "w"},
		{"SELECT", 15}, {"SET", "string", "another one"}, {"SELECT", 0},
	}
	looks = [][]any{
		{"KEYS", "*"}, {"GET", "string"}, {"GET", "empty"}, {"GET", ""}, {"GET", binary}, {"GET", "<html> & é 世界 🙂"},
		{"LRANGE", "list", 0, -1}, {"SMEMBERS", "set"}, {"HGET", "hash", binary}, {"HLEN", "hash"}, {"HGET", "fields", "f"},
		{"ZRANGE", "sorted", 0, -1, "WITHSCORES"}, {"XRANGE", "stream", "-", "+"},
		{"SELECT", 15}, {"KEYS", "*"}, {"GET", "string"}, {"SELECT", 0},
	}
	lives = [][]any{{"EXPIRETIME", "expires"}, {"EXPIRETIME", "list"}, {"EXPIRETIME", "string"}}
)

func perform(t *testing.T, s *redis.Server, commands [][]any) (replies []any) {
	t.Helper()
	c := connect(t, s).Conn()
	defer c.Close()
	for _, command := range commands {
		v, err := c.Do(t.Context(), command...).Result()
		if err != nil && !errors.Is(err, goredis.Nil) {
			t.Fatalf("%q: %v", command, err)
		}
		replies = append(replies, v)
	}
	return replies
}

func TestStateSurvives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	var before, expiries []any
	for round := range 3 {
		s := start(t, &redis.Options{File: file})
		if round == 0 {
			perform(t, s, everything)
			wait(t, "the short key to expire", func() bool { return perform(t, s, [][]any{{"EXISTS", "short"}})[0] == int64(0) })
			before, expiries = perform(t, s, looks), perform(t, s, lives)
		}
		if after := perform(t, s, looks); !reflect.DeepEqual(before, after) {
			t.Errorf("round %d:\nbefore %q\nafter  %q", round, before, after)
		}
		if after := perform(t, s, lives); !reflect.DeepEqual(expiries, after) {
			t.Errorf("round %d: keys expire at %v, want %v", round, after, expiries)
		}
		if left := perform(t, s, [][]any{{"HTTL", "fields", "FIELDS", 2, "f", "g"}})[0].([]any); left[0].(int64) < 2990 || left[1] != int64(-1) {
			t.Errorf("round %d: the fields have %v seconds left, want 3000 and none", round, left)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExpiresWhileDown: a key whose time comes while no server runs is gone.
func TestExpiresWhileDown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	s := start(t, &redis.Options{File: file})
	perform(t, s, [][]any{{"SET", "k", "v", "PX", 150}, {"HSET", "h", "f", "v", "g", "v"}, {"HEXPIRE", "h", 1, "FIELDS", 1, "f"}, {"SET", "stays", "v"}})
	end := time.After(1100 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), `"expires_ms"`) {
		t.Fatalf("the file has no key that expires: %v\n%s", err, data)
	}
	<-end
	s = start(t, &redis.Options{File: file})
	if got := perform(t, s, [][]any{{"KEYS", "*"}, {"HKEYS", "h"}}); fmt.Sprint(got) != "[[h stays] [g]]" {
		t.Errorf("after the restart: %v", got)
	}
}

// TestKilled: what was there a moment before a kill -9 is there after it, and
// nothing keeps the next server from the file.
func TestKilled(t *testing.T) {
	if file := os.Getenv("WAXO_TEST_STATE"); file != "" {
		s, err := redis.Start(t.Context(), &redis.Options{File: file})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		perform(t, s, [][]any{{"SET", "k", "v"}, {"RPUSH", "list", "a", "b"}})
		fmt.Println("set")
		select {} // until killed
	}
	file := filepath.Join(t.TempDir(), "state")
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "WAXO_TEST_STATE="+file)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			child.Process.Kill()
			child.Wait()
		}
	}()
	if _, err := io.ReadFull(stdout, make([]byte, len("set\n"))); err != nil {
		t.Fatal(err)
	}
	set := time.Now()

	var locked *redis.LockedError
	if _, err := redis.Start(t.Context(), &redis.Options{File: file}); !errors.As(err, &locked) || locked.PID != child.Process.Pid || !strings.Contains(err.Error(), fmt.Sprint(child.Process.Pid)) {
		t.Errorf("a second server on the file: %v, want an error that names the process %d", err, child.Process.Pid)
	}
	wait(t, "the state to be written", func() bool { _, err := os.Stat(file); return err == nil })
	if took := time.Since(set); took > 5*time.Second {
		t.Errorf("the state was written after %v", took)
	}
	killed = true
	child.Process.Kill()
	child.Wait()

	s := start(t, &redis.Options{File: file})
	if got := perform(t, s, [][]any{{"GET", "k"}, {"LRANGE", "list", 0, -1}}); fmt.Sprint(got) != "[v [a b]]" {
		t.Errorf("after the kill: %v", got)
	}
}

// TestUnchanged: nothing is written where nothing changed.
func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "state")
	s := start(t, &redis.Options{File: file})
	perform(t, s, [][]any{{"GET", "k"}, {"PING"}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a state without a key was written")
	}
	s = start(t, &redis.Options{File: file})
	perform(t, s, [][]any{{"SET", "k", "v"}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	s = start(t, &redis.Options{File: file})
	perform(t, s, [][]any{{"GET", "k"}, {"SET", "k", "w"}, {"SET", "k", "v"}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if second, err := os.Stat(file); err != nil || !os.SameFile(first, second) || !first.ModTime().Equal(second.ModTime()) {
		t.Errorf("the file was written again (%v)", err)
	}
	if runtime.GOOS != "windows" && first.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", first.Mode())
	}
	entries, _ := os.ReadDir(dir)
	if names := fmt.Sprint(entries); len(entries) != 2 {
		t.Errorf("left over: %s", names)
	}
}

// TestBadFiles: a file that cannot be read is an error which says why and what
// to do, and stays as it is.
func TestBadFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	s := start(t, &redis.Options{File: file})
	perform(t, s, everything)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	swap := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	// small is a file without a checksum.
	small := func(record string) []byte {
		return []byte("{\"format\":\"waxo redis state\",\"version\":1}\n" + record + "\n{\"keys\":1}\n")
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":            {nil, "it is not a file of state"},
		"of something":     {[]byte("hello\n"), "it is not a file of state"},
		"newer":            {swap(`"version":1`, `"version":2`), "version 2"},
		"cut at a line":    {bytes.Join(lines[:5], nil), "its end is missing"},
		"cut in a line":    {good[:len(good)/2], "its end is missing"},
		"last byte gone":   {good[:len(good)-1], "its end is missing"},
		"a line gone":      {bytes.Join(append(slices.Clone(lines[:3]), lines[4:]...), nil), "checksum"},
		"one bit":          {swap(`"value":"v"`, `"value":"w"`), "checksum"},
		"count":            {small(`{"db":0,"key":"k","kind":"string","value":"v"}` + "\n" + `{"db":1,"key":"k","kind":"string","value":"v"}`), "tells of 1 keys"},
		"twice":            {small(`{"db":0,"key":"k","kind":"string","value":"v"}` + "\n" + `{"db":0,"key":"k","kind":"string","value":"v"}`), "line 3: the key is there twice"},
		"no JSON":          {small(`{`), "line 2"},
		"unknown field":    {small(`{"db":0,"key":"k","kind":"string","value":"v","more":1}`), "line 2"},
		"two on a line":    {small(`{"db":0,"key":"k","kind":"string","value":"v"} {}`), "line 2"},
		"unknown kind":     {small(`{"db":0,"key":"k","kind":"cube","value":"v"}`), `no kind "cube"`},
		"kind and value":   {small(`{"db":0,"key":"k","kind":"list","value":"v"}`), `"items" and nothing else`},
		"two values":       {small(`{"db":0,"key":"k","kind":"list","value":"v","items":["a"]}`), `"items" and nothing else`},
		"empty list":       {small(`{"db":0,"key":"k","kind":"list","items":[]}`), `"items" and nothing else`},
		"null":             {small(`{"db":0,"key":"k","kind":"list","items":[null]}`), "null where a string is due"},
		"database":         {small(`{"db":16,"key":"k","kind":"string","value":"v"}`), "no database 16"},
		"expiry":           {small(`{"db":0,"key":"k","kind":"string","value":"v","expires_ms":-1}`), "negative"},
		"base64":           {small(`{"db":0,"key":{"base64":"?"},"kind":"string","value":"v"}`), "line 2"},
		"score":            {small(`{"db":0,"key":"k","kind":"zset","members":[{"name":"a","score":"NaN"}]}`), "no number"},
		"order of entries": {small(`{"db":0,"key":"k","kind":"stream","entries":[{"id":"2-0","values":["a","b"]},{"id":"1-0","values":["a","b"]}]}`), `line 2: the entry "1-0"`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := redis.Start(t.Context(), &redis.Options{File: file})
			var bad *redis.StateError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want one with %q and the file's name", err, c.want)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, c.data) {
				t.Error("the file was touched")
			}
			// The lock was given back: with a good file in its place it works.
			if err := os.WriteFile(file, small(`{"db":0,"key":"k","kind":"string","value":"by hand"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := perform(t, start(t, &redis.Options{File: file}), [][]any{{"GET", "k"}})[0]; got != "by hand" {
				t.Errorf("k = %v", got)
			}
		})
	}
}

// TestCannotWrite: a state that cannot be written is told while it runs and at
// the end, and the old one stays.
func TestCannotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) { told <- string(p); return len(p), nil }), nil))
	s, err := redis.Start(t.Context(), &redis.Options{File: filepath.Join(dir, "state"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Skip("this system does not let an open folder go:", err)
	}
	perform(t, s, [][]any{{"SET", "k", "v"}})
	select {
	case line := <-told:
		if !strings.Contains(line, "could not be written") {
			t.Error(line)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing was told")
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "the last changes are lost") {
		t.Errorf("Close: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
