package admin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
)

func TestPathsAreTheHostsAsTheyAreSpelt(t *testing.T) {
	for below, prefix := range map[string]string{"": "", "/": "", "/_host": "/_host", "/a/b": "/a/b"} {
		s := open(t, func(o *settings) { o.Path = below })
		for path, own := range map[string]bool{
			prefix + "/healthz": true, prefix + "/id": true, prefix + "/id?x=/y": true, prefix + "/liveupdate": true,
			prefix + "/": false, prefix + "/healthz/": false, prefix + "//id": false, prefix + "/ID": false,
			prefix + "/%69d": false, prefix + "/live%75pdate": false, "/x/id": false, "/id/x": false, "/_hostid": false,
		} {
			a := s.do("GET", path, nil)
			if own == (a.text == "VERSION1") {
				t.Errorf("below %q: %s is answered %d %q", below, path, a.status, a.text)
			}
		}
	}
	s := open(t, func(o *settings) { o.Path = "/_host" })
	for _, path := range []string{"/id", "/healthz", "/liveupdate"} {
		if a := s.do("POST", path, strings.NewReader("x")); a.text != "VERSION1" {
			t.Errorf("%s does not reach the guest: %s", path, a.text)
		}
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	for _, path := range []string{"_host", "/_host/", "//", "/a/../b", "/a b", "/?", "/ä", "off", " "} {
		if err := CheckPath(path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
	if _, err := New(&Options{}); err == nil {
		t.Error("there are endpoints without a host")
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	s := open(t, nil)
	for path, allowed := range map[string]string{"/healthz": "GET, HEAD", "/id": "GET, HEAD", "/liveupdate": "POST"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			if strings.Contains(allowed, method) {
				continue
			}
			a := s.do(method, path, nil)
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allowed {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
	}
	if a := s.do("HEAD", "/healthz", nil); a.status != 200 || a.text != "" {
		t.Errorf("HEAD: %d %q", a.status, a.text)
	}
}

func TestIDTellsWhichModuleRuns(t *testing.T) {
	s := open(t, nil)
	a := s.do("GET", "/id", nil)
	b := a.body
	if a.status != 200 || b.Module != s.module.PublicKey().String() || b.Issuer != s.account.PublicKey().String() ||
		!slices.Equal(b.Capabilities, []string{capability.HTTPServer}) || b.Revision != 1 || b.Version != "1.0" || b.Name != "tester" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", a.header)
	}
}

// occupy has the only instance busy until what it returns is called.
func (s *site) occupy() (free func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.host.Call(ctx, capability.Core, "Test", []byte("l"))
	}()
	deadline := time.Now().Add(patience)
	for s.host.InHand() == 0 {
		if time.Now().After(deadline) {
			s.t.Fatal("the call does not begin")
		}
	}
	return func() { cancel(); <-ended }
}

func one(o *settings) { o.host.Limits.Instances, o.host.Limits.CallTimeout = 1, 2*patience }

func TestHealthOfABusyGuestIsToldInTime(t *testing.T) {
	for _, development := range []bool{false, true} {
		s := open(t, func(o *settings) { one(o); o.HealthTimeout, o.Development = 20*time.Millisecond, development })
		free := s.occupy()
		for range 3 {
			a := s.do("GET", "/healthz", nil)
			if a.status != 503 || a.body.Status != "unhealthy" || a.body.Code != string(capability.CodeDeadline) {
				t.Errorf("%d %s", a.status, a.text)
			}
			if !development && a.body.Message != "the guest did not answer within 20ms" {
				t.Errorf("anybody is told %q", a.body.Message)
			}
		}
		free()
		s.own.opts.HealthTimeout = patience // no request is in hand
		if a := s.do("GET", "/healthz", nil); a.status != 200 || a.body.Status != "healthy" {
			t.Errorf("%d %s", a.status, a.text)
		}
		if sick, well := s.log.count("not well"), s.log.count("well again"); sick != 1 || well != 1 {
			t.Errorf("the log tells %d times of trouble and %d times of its end", sick, well)
		}
	}
}

// TestProbesAskOnce: however many probes come while a question is open, they wait
// for its answer, and the guest hears of no other.
func TestProbesAskOnce(t *testing.T) {
	s := open(t, nil)
	before := s.host.Current().Stats().Calls
	q := &question{answered: make(chan struct{})}
	s.own.mu.Lock()
	s.own.asked = q
	s.own.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	errs := make([]error, 50)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.own.ask(ctx) })
	}
	cancel()
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			t.Error("a probe was answered before the guest was")
		}
	}
	if calls := s.host.Current().Stats().Calls - before; calls != 0 {
		t.Errorf("the guest was asked %d times more", calls)
	}
	close(q.answered)
	if err := s.own.ask(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOneProbeWaitsInTheQueue: probes do not fill the queue of a busy guest.
func TestOneProbeWaitsInTheQueue(t *testing.T) {
	s := open(t, func(o *settings) { one(o); o.HealthTimeout = 50 * time.Millisecond })
	defer s.occupy()()
	var probes sync.WaitGroup
	done := make(chan struct{})
	for range 20 {
		probes.Go(func() {
			for range 3 {
				if a := s.do("GET", "/healthz", nil); a.status != 503 {
					t.Errorf("%d %s", a.status, a.text)
				}
			}
		})
	}
	go func() { probes.Wait(); close(done) }()
	for most := 0; ; {
		most = max(most, s.host.Current().Stats().Waiting)
		select {
		case <-done:
			if most != 1 {
				t.Errorf("%d health requests waited at once", most)
			}
			return
		default:
		}
	}
}

func TestDrainSendsProbesAway(t *testing.T) {
	s := open(t, nil)
	s.own.Drain()
	if a := s.do("GET", "/healthz", nil); a.status != 503 || a.body.Status != "unhealthy" || !strings.Contains(a.body.Message, "ending") {
		t.Errorf("%d %s", a.status, a.text)
	}
	s.post(s.release("VERSION2", 2)).refused(t, 503, capability.CodeUnavailable, "ending")
	s.serves("VERSION1")
}

// TestProbesDoNotWaitForBodies: of a request that nobody wants the body of.
func TestProbesDoNotWaitForBodies(t *testing.T) {
	s := open(t, func(o *settings) { o.LiveUpdate = false })
	for _, head := range []string{"GET /healthz", "GET /id", "PUT /id", "POST /liveupdate"} {
		c, err := net.Dial("tcp", s.address)
		must(t, err)
		must(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(c, head+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
		must(t, err)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", head, err)
		} else if response.Body.Close(); response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", head, response.StatusCode, response.Header)
		}
		must(t, c.Close())
	}
}
