package devhost

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// plain writes log lines without their time.
func plain(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestOutage(t *testing.T) {
	var b bytes.Buffer
	o := outage{log: plain(&b), capability: "gpio:relay", binding: "default"}
	now := time.Unix(0, 0)
	why := &capability.Error{Code: capability.CodeUnavailable, Message: "refused"}
	fail := func(times int) {
		for range times {
			o.fail(now, why)
		}
	}
	over := func() { o.over(now) }
	lines := func(want ...string) {
		t.Helper()
		if got := strings.TrimSpace(b.String()); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		b.Reset()
	}
	const begins = `level=WARN msg="gpio:relay fails" binding=default error=refused`
	over()
	lines()
	fail(1000)
	lines(begins)
	now = now.Add(10 * time.Second)
	fail(1)
	over()
	over()
	lines(`level=INFO msg="gpio:relay answers again" binding=default failed=1001 after=10s`)

	// It comes and goes: that is told once the quiet is over, with all that failed.
	for range 100 {
		fail(1)
		over()
	}
	lines()
	fail(1)
	now = now.Add(quiet)
	fail(1)
	lines(begins)
	now = now.Add(time.Second)
	over()
	lines(`level=INFO msg="gpio:relay answers again" binding=default failed=102 after=6s`)
}

// TestOutageOfAProvider: a thousand calls that fail are one line.
func TestOutageOfAProvider(t *testing.T) {
	var b bytes.Buffer
	s, p := newSigner(t), &recorder{capability: capability.KeyValue}
	h := newHost(t, func(o *Options) { o.Log = plain(&b) })
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "1")
	answers := func(c capability.Code, times int) {
		p.fail = nil
		if c != "" {
			p.fail = &capability.Error{Code: c, Message: "the server is away"}
		}
		for range times {
			if _, err := call(t, h, hostCall(capability.KeyValue, "Get", "")); (err == nil) != (c == "") {
				t.Fatal(err)
			}
		}
	}
	answers("", 3)
	answers(capability.CodeNotFound, 3)
	answers(capability.CodeInternal, 3)
	if b.Len() > 0 {
		t.Errorf("it said %s", &b)
	}
	answers(capability.CodeUnavailable, 500)
	answers(capability.CodeDeadline, 500)
	answers(capability.CodeInternal, 1)
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="wascap:keyvalue fails" binding=default error="the server is away"`) {
		t.Errorf("it said %s", got)
	}
	b.Reset()
	answers(capability.CodeNotFound, 1)
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "answers again") || !strings.Contains(got, "failed=1000") {
		t.Errorf("it said %s", got)
	}
	b.Reset()
	answers("", 3)
	if b.Len() > 0 {
		t.Errorf("it said %s", &b)
	}
	p.fail = errors.New("no error of a kind")
	if _, err := call(t, h, hostCall(capability.KeyValue, "Get", "")); err == nil || b.Len() > 0 {
		t.Errorf("it said %s, %v", &b, err)
	}
}
