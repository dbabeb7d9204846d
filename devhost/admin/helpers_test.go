package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

// patience bounds every wait for something that should happen at once.
const patience = 30 * time.Second

// site is a host whose guest answers each request with its version, with the
// endpoints in front.
type site struct {
	t               *testing.T
	host            *devhost.Host
	own             *Endpoints
	address         string
	client          http.Client
	account, module *wascap.KeyPair
	log             lines
}

// settings are what a test may change of a site.
type settings struct {
	Options
	updates bool // the host takes in modules of the site's account
	host    devhost.Options
}

// signedAt is when the modules of these tests are signed.
var signedAt = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// open serves revision 1, which answers VERSION1, until the test ends.
func open(t *testing.T, edit func(*settings)) *site {
	t.Helper()
	s := &site{t: t, account: generate(t, wascap.Account), module: generate(t, wascap.Module)}
	o := settings{updates: true, Options: Options{LiveUpdate: true, HealthTimeout: patience}}
	if edit != nil {
		edit(&o)
	}
	engine, err := wapc.NewEngine(nil)
	must(t, err)
	o.host.Engine = engine
	o.host.Limits.Memory = 4 << 20
	if o.updates {
		o.host.Updates = &devhost.Updates{Trust: []string{s.account.PublicKey().String()}, Grant: []string{capability.HTTPServer, capability.KeyValue}}
	}
	s.host, err = devhost.New(&o.host)
	must(t, err)
	o.Host, o.Log = s.host, slog.New(slog.NewTextHandler(&s.log, nil))
	s.own, err = New(&o.Options)
	must(t, err)
	g, err := s.host.Prepare(t.Context(), s.release("VERSION1", 1), nil)
	must(t, err)
	must(t, s.host.Activate(g))

	provider := httpserver.New(&httpserver.Options{Wrap: s.own.Wrap})
	binding := capability.Binding{
		BindingID: capability.BindingID{Guest: g.Claims().Subject, Name: capability.DefaultBinding},
		Config:    map[string]string{httpserver.ConfigAddress: "127.0.0.1:0"},
	}
	must(t, provider.Bind(t.Context(), binding, versions{s.host}))
	s.address = provider.Addr(binding.BindingID).String()
	s.client = http.Client{Transport: new(http.Transport), Timeout: patience}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := provider.Close(ctx)
		s.own.Close()
		must(t, errors.Join(err, s.host.Close(ctx), engine.Close(ctx)))
	})
	return s
}

// versions has the test guest, which knows no HTTP, answer requests.
type versions struct{ host *devhost.Host }

func (v versions) Dispatch(ctx context.Context, _ string, _, _ []byte) (capability.Reply, error) {
	reply, err := v.host.Call(ctx, capability.Core, "Test", []byte("v"))
	reply.Payload = (&httppb.Response{StatusCode: 200, Body: reply.Payload}).AppendProto(nil)
	return reply, err
}

// release signs a version of the test guest, of eight characters.
func (s *site) release(version string, revision int, edits ...func(*wascap.Claims)) []byte {
	s.t.Helper()
	module, err := os.ReadFile("../testdata/guest.wasm")
	must(s.t, err)
	claims := wascap.Claims{
		Subject: s.module.PublicKey().String(), Name: "tester", Version: "1.0", Revision: revision,
		Capabilities: []string{capability.HTTPServer},
	}
	for _, edit := range edits {
		edit(&claims)
	}
	module = bytes.Replace(module, []byte("VERSION0"), []byte(version), 1)
	signed, err := wascap.Sign(module, claims, s.account, &wascap.SignOptions{IssuedAt: signedAt})
	must(s.t, err)
	return signed
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	text   string
	body   struct {
		Status, Code, Message         string
		Module, Issuer, Name, Version string
		Capabilities                  []string
		Revision                      int
	}
}

// do sends a request, and expects JSON where the guest does not answer.
func (s *site) do(method, path string, body io.Reader, header ...string) *answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, body)
	must(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := s.send(r)
	must(s.t, err)
	return a
}

func (s *site) send(r *http.Request) (*answer, error) {
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	a := &answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if response.Header.Get("Content-Type") == "application/json" && len(text) > 0 {
		err = errors.Join(err, json.Unmarshal(text, &a.body))
	}
	return a, err
}

func (s *site) post(module []byte) *answer {
	s.t.Helper()
	return s.do("POST", "/liveupdate", bytes.NewReader(module))
}

// serves expects the guest to answer so.
func (s *site) serves(version string) {
	s.t.Helper()
	if a := s.do("GET", "/", nil); a.status != 200 || a.text != version {
		s.t.Errorf("got %d %q, want %q", a.status, a.text, version)
	}
}

// refused expects an answer of that kind.
func (a *answer) refused(t *testing.T, status int, code capability.Code, text string) {
	t.Helper()
	if a.status != status || a.body.Status != "refused" || a.body.Code != string(code) || !strings.Contains(a.body.Message, text) {
		t.Errorf("got %d %s, want %d, %s with %q", a.status, a.text, status, code, text)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func generate(t *testing.T, kind wascap.Kind) *wascap.KeyPair {
	t.Helper()
	pair, err := wascap.Generate(kind)
	must(t, err)
	return pair
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
