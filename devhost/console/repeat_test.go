package console

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/waxosuit/waxo/devhost/workbench"
)

// TestFailuresAlike: a thousand requests that fail in the same way are a few lines.
func TestFailuresAlike(t *testing.T) {
	var err bytes.Buffer
	c, now := New(&Options{Err: &err}), noon
	request := func(status int, message string) {
		c.Event(workbench.Event{Time: now, Kind: workbench.KindRequest, Status: status, Message: message})
	}
	const away = "POST /  provider: unavailable: the server at 127.0.0.1:%d is away"
	lines := func(want string) {
		t.Helper()
		if got := err.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		err.Reset()
	}
	for i := range 1000 {
		request(502, fmt.Sprintf(away, i))
		if i == 500 {
			request(200, "GET /") // another one, which is served
			c.Event(workbench.Event{Time: now, Kind: workbench.KindNotice, Message: "a notice"})
		}
	}
	lines("12:00:00 502 POST /  provider: unavailable: the server at 127.0.0.1:0 is away 0 us\n12:00:00 200 GET / 0 us\n12:00:00 a notice\n")
	now = now.Add(alike)
	request(200, "GET /")
	lines("    999 more like that: 502 provider: unavailable\n12:00:01 200 GET / 0 us\n")

	// After a second it is shown again; what fails in another way is, at once.
	request(502, fmt.Sprintf(away, 1))
	request(502, fmt.Sprintf(away, 2))
	now = now.Add(alike)
	request(502, fmt.Sprintf(away, 3))
	request(502, fmt.Sprintf(away, 4))
	request(500, "GET /  trap: unreachable")
	lines("12:00:01 502 POST /  provider: unavailable: the server at 127.0.0.1:1 is away 0 us\n    1 more like that: 502 provider: unavailable\n" +
		"12:00:02 502 POST /  provider: unavailable: the server at 127.0.0.1:3 is away 0 us\n    1 more like that: 502 provider: unavailable\n" +
		"12:00:02 500 GET /  trap: unreachable 0 us\n")
	request(500, "GET /  trap: unreachable")
	c.Event(workbench.Event{Time: now, Kind: workbench.KindStopping})
	lines("    1 more like that: 500 trap: unreachable\n12:00:02 stopping; once more to stop at once\n")

	// Programs get everything.
	c = New(&Options{Err: &err, JSON: true})
	for range 3 {
		request(502, "GET /  provider: unavailable: it is away")
	}
	if n := bytes.Count(err.Bytes(), []byte("\n")); n != 3 {
		t.Errorf("%d events are written", n)
	}
}
