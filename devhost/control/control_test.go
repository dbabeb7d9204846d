package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/control"
)

func serve(t *testing.T, dir string, mux *control.Mux) *control.Server {
	t.Helper()
	s, err := control.Serve(dir, mux)
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

func dial(t *testing.T, dir string) *control.Client {
	t.Helper()
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

type sum struct{ A, B int }

func TestCall(t *testing.T) {
	dir, mux := t.TempDir(), new(control.Mux)
	serve(t, dir, mux)
	mux.Handle("add", control.Typed(func(_ context.Context, s sum) (any, error) {
		if s.A < 0 {
			return nil, errors.New("this only counts upwards")
		}
		return s.A + s.B, nil
	}))
	mux.Handle("repeat", control.Typed(func(_ context.Context, n int) (any, error) { return strings.Repeat("x", n), nil }))
	c := dial(t, dir)
	var got int
	if err := c.Call(t.Context(), "add", sum{1, 2}, &got); err != nil || got != 3 {
		t.Errorf("1 + 2 = %d, %v", got, err)
	}
	for _, test := range []struct {
		name    string
		request any
		want    string
	}{
		{"add", sum{-1, 2}, "this only counts upwards"},
		{"add", map[string]int{"C": 1}, `unknown field "C"`},
		{"add", "text", "cannot be read"},
		{"subtract", sum{}, `cannot do "subtract"`},
		{"", sum{}, `cannot do ""`},
		{"add", strings.Repeat("x", 64<<20-1), "larger than the 67108864 bytes"},
		{"repeat", 64<<20 - 1, "the answer has 67108865 bytes, the limit is 67108864"},
	} {
		err := c.Call(t.Context(), test.name, test.request, nil)
		if !errors.As(err, new(*control.Error)) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestNotRunning(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, control.FileName)
	missing := func(want string) {
		t.Helper()
		_, err := control.Dial(t.Context(), dir)
		if !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "start it") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	missing("there is no")
	for _, damaged := range []string{"", "{", "{}", `{"address":""}`} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		missing("damaged")
	}
	s := serve(t, dir, new(control.Mux))
	left, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	missing("there is no")

	// What one that was killed leaves behind: nobody listens there, or another.
	if err := os.WriteFile(file, left, 0o600); err != nil {
		t.Fatal(err)
	}
	missing("has ended")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Server{Handler: http.NotFoundHandler()}
	go stranger.Serve(other)
	defer stranger.Close()
	var a map[string]any
	if err := json.Unmarshal(left, &a); err != nil {
		t.Fatal(err)
	}
	a["address"] = other.Addr().String()
	replaced, err := json.Marshal(a)
	if err == nil {
		err = os.WriteFile(file, replaced, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	missing("has ended")

	// One that stands still is not one that has ended.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for pid, gone := range map[int]bool{os.Getpid(): false, 1 << 30: true} {
		a["address"], a["pid"] = silent.Addr().String(), pid
		replaced, err := json.Marshal(a)
		if err == nil {
			err = os.WriteFile(file, replaced, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = control.Dial(t.Context(), dir)
		if errors.Is(err, control.ErrNotRunning) != gone || !gone && (err == nil || !strings.Contains(err.Error(), "does not answer")) {
			t.Errorf("process %d: %v", pid, err)
		}
	}

	// The next one begins as if it were not there.
	serve(t, dir, new(control.Mux))
	dial(t, dir)
}

func TestOneServesAFolder(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir, new(control.Mux))
	_, err := control.Serve(dir, new(control.Mux))
	if running := new(control.RunningError); !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Errorf("the second: %v", err)
	}
	dial(t, dir)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := serve(t, dir, new(control.Mux))
	if err := first.Close(); err != nil { // once more, with another's file there
		t.Fatal(err)
	}
	dial(t, dir)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStrangers sends what a browser or another user could.
func TestStrangers(t *testing.T) {
	dir, mux := t.TempDir(), new(control.Mux)
	mux.Handle("do", func(context.Context, json.RawMessage) (any, error) {
		t.Error("it was done")
		return nil, nil
	})
	serve(t, dir, mux)
	data, err := os.ReadFile(filepath.Join(dir, control.FileName))
	var a struct{ Address, Token string }
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(a.Address)
	for _, test := range []struct {
		method, path, host, authorization string
		status                            int
	}{
		{"POST", "/v1/do", "", "", 401},
		{"POST", "/v1/do", "", "Bearer", 401},
		{"POST", "/v1/do", "", "Bearer " + a.Token + "x", 401},
		{"POST", "/v1/do", "", "Basic " + a.Token, 401},
		{"POST", "/v1/do", "localhost:" + port, "Bearer " + a.Token, 421},
		{"POST", "/v1/do", "rebound.example.com:" + port, "Bearer " + a.Token, 421},
		{"GET", "/v1/do", "", "Bearer " + a.Token, 404},
		{"POST", "/do", "", "Bearer " + a.Token, 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+a.Address+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		r.Header.Set("Authorization", test.authorization)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.status {
			t.Errorf("%+v: %d", test, resp.StatusCode)
		}
	}
}

// TestCloseCancels what is in hand.
func TestCloseCancels(t *testing.T) {
	dir, mux := t.TempDir(), new(control.Mux)
	begun := make(chan struct{})
	mux.Handle("wait", func(ctx context.Context, _ json.RawMessage) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s := serve(t, dir, mux)
	c := dial(t, dir)
	done := make(chan error, 1)
	go func() { done <- c.Call(t.Context(), "wait", nil, nil) }()
	<-begun
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the request succeeded")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := control.Dial(gone, dir); err == nil {
		t.Error("it was found after its end")
	}
}
