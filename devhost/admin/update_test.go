package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wascap"
)

func TestLiveUpdate(t *testing.T) {
	s := open(t, nil)
	s.serves("VERSION1")
	next := s.release("VERSION2", 2)
	a := s.post(next)
	if a.status != 200 || a.body.Status != "updated" || a.body.Revision != 2 || a.body.Module != s.module.PublicKey().String() {
		t.Errorf("%d %s", a.status, a.text)
	}
	s.serves("VERSION2")
	if a := s.do("GET", "/id", nil); a.body.Revision != 2 {
		t.Errorf("after it: %s", a.text)
	}
	if a := s.do("GET", "/healthz", nil); a.status != 200 {
		t.Errorf("after it: %d %s", a.status, a.text)
	}
	if a := s.post(next); a.status != 200 || a.body.Status != "unchanged" {
		t.Errorf("the same again: %d %s", a.status, a.text)
	}
	// Of a length that is not announced.
	if a := s.do("POST", "/liveupdate", io.MultiReader(bytes.NewReader(s.release("VERSION3", 3)))); a.status != 200 {
		t.Errorf("in chunks: %d %s", a.status, a.text)
	}
	s.serves("VERSION3")
	if n := s.log.count("msg=\"live update\""); n != 2 {
		t.Errorf("%d updates were logged", n)
	}
}

func TestLiveUpdateRefuses(t *testing.T) {
	s := open(t, func(o *settings) { o.MaxModule = 10 << 10 })
	stranger := generate(t, wascap.Account)
	good := s.release("VERSION2", 2)
	as := func(account *wascap.KeyPair) []byte {
		own := s.account
		defer func() { s.account = own }()
		s.account = account
		return s.release("VERSION2", 2)
	}
	tampered := bytes.Clone(good)
	tampered[60] ^= 1
	large := append(bytes.Clone(good), make([]byte, 20<<10)...)
	for name, test := range map[string]struct {
		body   io.Reader
		status int
		code   capability.Code
		text   string
	}{
		"another issuer":       {bytes.NewReader(as(stranger)), 403, capability.CodeDenied, "--trust " + stranger.PublicKey().String()},
		"another module key":   {bytes.NewReader(s.release("VERSION2", 2, func(c *wascap.Claims) { c.Subject = generate(t, wascap.Module).PublicKey().String() })), 403, capability.CodeDenied, "module key"},
		"a further claim":      {bytes.NewReader(s.release("VERSION2", 2, func(c *wascap.Claims) { c.Capabilities = append(c.Capabilities, capability.Logging) })), 403, capability.CodeDenied, capability.Logging},
		"throwaway keys":       {bytes.NewReader(s.release("VERSION2", 2, func(c *wascap.Claims) { c.Tags = []string{wascap.DevTag} })), 403, capability.CodeDenied, "--allow-dev"},
		"an older one":         {bytes.NewReader(s.release("VERSION0", 0)), 409, capability.CodeConflict, "revision 0, but 1 runs"},
		"expired":              {bytes.NewReader(s.release("VERSION2", 2, func(c *wascap.Claims) { c.Expires = signedAt.Add(time.Hour) })), 422, capability.CodeInvalid, "expired"},
		"tampered":             {bytes.NewReader(tampered), 422, capability.CodeInvalid, "changed after"},
		"no module":            {strings.NewReader("not a module"), 422, capability.CodeInvalid, "--data-binary @hello.wasm"},
		"nothing":              {nil, 422, capability.CodeInvalid, "--data-binary @hello.wasm"},
		"too large":            {bytes.NewReader(large), 413, capability.CodeTooLarge, "10240 bytes"},
		"too large, in chunks": {io.MultiReader(bytes.NewReader(large)), 413, capability.CodeTooLarge, "--live-update-size"},
	} {
		t.Run(name, func(t *testing.T) {
			logged := s.log.count("live update refused")
			s.do("POST", "/liveupdate", test.body).refused(t, test.status, test.code, test.text)
			if s.log.count("live update refused") != logged+1 {
				t.Error("the log does not tell")
			}
			s.serves("VERSION1")
		})
	}
	for site, status := range map[string]int{"cross-site": 403, "same-site": 403, "none": 200} {
		if a := s.do("POST", "/liveupdate", bytes.NewReader(good), "Sec-Fetch-Site", site); a.status != status {
			t.Errorf("from a page, %s: %d %s", site, a.status, a.text)
		}
	}
}

func TestLiveUpdateIsOffUnlessItIsWanted(t *testing.T) {
	s := open(t, func(o *settings) { o.LiveUpdate = false })
	s.post(s.release("VERSION2", 2)).refused(t, 403, capability.CodeDenied, "started with --live-update")
	// And twice: where the endpoint is on by mistake, the host has its say.
	s = open(t, func(o *settings) { o.updates = false })
	s.post(s.release("VERSION2", 2)).refused(t, 403, capability.CodeDenied, "started with --live-update")
	s.serves("VERSION1")
}

// upload begins a request with an update, and sends so much of it once the host
// reads.
func (s *site) upload(module []byte, part int) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	must(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	must(s.t, c.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(c, "POST /liveupdate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(module))
	must(s.t, err)
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(goOn))
	if _, err = io.ReadFull(c, got); err != nil || string(got) != goOn {
		s.t.Fatalf("got %q, %v", got, err)
	}
	_, err = c.Write(module[:part])
	must(s.t, err)
	return c
}

func TestTheSecondUpdateIsRefusedWhileTheFirstArrives(t *testing.T) {
	s := open(t, nil)
	module := s.release("VERSION2", 2)
	first := s.upload(module, 100)
	s.post(s.release("VERSION3", 3)).refused(t, 409, capability.CodeConflict, "another update is under way")
	s.serves("VERSION1")
	_, err := first.Write(module[100:])
	must(t, err)
	got, err := io.ReadAll(first)
	must(t, err)
	if !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("the first got %q", got)
	}
	s.serves("VERSION2")
	if a := s.post(s.release("VERSION3", 3)); a.status != 200 {
		t.Errorf("then: %d %s", a.status, a.text)
	}
}

func TestAnUploadThatDoesNotEndLeavesTheNextItsTurn(t *testing.T) {
	s := open(t, func(o *settings) { o.UploadTimeout = 50 * time.Millisecond })
	module := s.release("VERSION2", 2)
	got, err := io.ReadAll(s.upload(module, 100))
	must(t, err)
	if !strings.HasPrefix(string(got), "HTTP/1.1 408 ") || !strings.Contains(string(got), "did not arrive within 50ms") {
		t.Errorf("one that stops gets %q", got)
	}
	half := s.upload(module, 100)
	must(t, half.(*net.TCPConn).CloseWrite())
	got, err = io.ReadAll(half)
	must(t, err)
	if !strings.HasPrefix(string(got), "HTTP/1.1 422 ") || !strings.Contains(string(got), "ended early") {
		t.Errorf("one that ends early gets %q", got)
	}
	must(t, s.upload(module, 100).Close())
	s.own.uploading.Lock() // which waits for its end
	s.serves("VERSION1")
	s.own.uploading.Unlock()
	if a := s.post(module); a.status != 200 {
		t.Errorf("then: %d %s", a.status, a.text)
	}
}

func TestAnUpdateThatTakesTooLongIsGivenUp(t *testing.T) {
	s := open(t, func(o *settings) { o.UpdateTimeout = time.Nanosecond })
	s.post(s.release("VERSION2", 2)).refused(t, 408, capability.CodeDeadline, "the one before goes on serving")
	s.serves("VERSION1")
}

// TestUpdatesUnderLoadLoseNoRequest: clients that keep their connections, and
// clients that do not, get an answer to each request, through updates that work
// and updates that do not.
func TestUpdatesUnderLoadLoseNoRequest(t *testing.T) {
	const updates, clients = 10, 16
	s := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var answered atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range clients {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%4 == 0}, Timeout: patience}
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				response, err := client.Get("http://" + s.address + "/")
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode != 200 || len(text) != 8 {
					t.Errorf("%d %q, %v", response.StatusCode, text, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for i := range updates {
		seen := answered.Load()
		version := fmt.Sprintf("UPDATE%02d", i)
		if a := s.post(s.release(version, 2+i)); a.status != 200 || a.body.Status != "updated" {
			t.Fatalf("%d %s", a.status, a.text)
		}
		s.serves(version)
		s.post([]byte("\x00asm nonsense")).refused(t, 422, capability.CodeInvalid, "")
		for answered.Load() < seen+clients && !t.Failed() {
			s.serves(version)
		}
	}
}

func TestWhatIsAnnouncedTooLargeIsNotReadAtAll(t *testing.T) {
	s := open(t, nil)
	c, err := net.Dial("tcp", s.address)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(c, "POST /liveupdate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", DefaultMaxModule+1)
	must(t, err)
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") {
		t.Errorf("got %q, %v", got, err)
	}
}
