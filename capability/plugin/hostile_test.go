//go:build unix

package plugin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
	"github.com/waxosuit/waxo/capability/plugin"
)

// handMade is the program of a plugin that was written against docs/providers.md
// with nothing but Go, which the tests have do single things wrong.
type handMade struct{ wrong string }

// methods are what it serves; go-plugin's own services are not among them.
var methods = map[string]func(h handMade, w http.ResponseWriter, r *http.Request){
	"/grpc.health.v1.Health/Check":  handMade.health,
	"/provider.Provider/Describe":   handMade.describe,
	"/provider.Provider/Bind":       handMade.empty,
	"/provider.Provider/Call":       handMade.call,
	"/provider.Provider/Unbind":     handMade.empty,
	"/provider.Provider/Close":      handMade.empty,
	"/provider.Provider/Dispatch":   handMade.dispatch,
	"/plugin.GRPCStdio/StreamStdio": handMade.stdio,
}

func (h handMade) run() error {
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	cert, err := ownCertificate()
	if err != nil {
		return err
	}
	shown := cert
	if h.wrong == "shows another certificate" {
		if shown, err = ownCertificate(); err != nil {
			return err
		}
	}
	text := base64.RawStdEncoding.EncodeToString(shown.Certificate[0])
	switch h.wrong {
	case "certificate is no base64":
		text = strings.Repeat("%", 1000)
	case "certificate is none":
		text = base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("no certificate", 10)))
	case "certificate is padded":
		text += "=="
	case "listens elsewhere":
		socket += "x"
	}
	host := x509.NewCertPool()
	host.AppendCertsFromPEM([]byte(os.Getenv("PLUGIN_CLIENT_CERT")))
	s := &http.Server{Handler: h, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: host, ClientAuth: tls.RequireAndVerifyClientCert,
	}}
	go func() {
		if h.wrong == "speaks no TLS" {
			_ = s.Serve(l)
		}
		_ = s.ServeTLS(l, "", "")
	}()
	fmt.Printf("1|1|unix|%s|grpc|%s\n", socket, text)
	if h.wrong == "endless output" {
		go func() {
			for {
				fmt.Println("all work and no play makes jack a dull boy")
			}
		}()
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func ownCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (h handMade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve := methods[r.URL.Path]
	if serve == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	serve(h, w, r)
	w.Header().Set("Grpc-Status", "0")
}

// The tags of fields of protobuf: the first as a number, the second as bytes.
const (
	number1 = 1 << 3
	bytes2  = 2<<3 | 2
)

// framed is a message as gRPC sends it.
func framed(message []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(b, message...)
}

func send(w http.ResponseWriter, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

func (h handMade) health(w http.ResponseWriter, r *http.Request) {
	message := framed([]byte{number1, 1})
	switch h.wrong {
	case "is not healthy":
		message = framed([]byte{number1, 2})
	case "compresses":
		message[0] = 1
	case "answers with 4 GiB":
		message = []byte("\x00\xff\xff\xff\xff" + strings.Repeat("x", 1<<20))
	case "sends malformed messages":
		message = framed([]byte{number1, 0xff})
	case "serves pages":
		w.Header().Set("Content-Type", "text/html")
	case "resets":
		panic(http.ErrAbortHandler)
	case "gives no status":
		w.Header().Del("Trailer")
		w.Header().Set("Content-Length", fmt.Sprint(len(message)))
	}
	_ = send(w, message)
}

func (h handMade) describe(w http.ResponseWriter, r *http.Request) {
	answer := &providerpb.DescribeResponse{Capability: "test:plain", Name: "hand-made"}
	_ = send(w, framed(answer.AppendProto(nil)))
}

func (h handMade) empty(w http.ResponseWriter, r *http.Request) { _ = send(w, framed(nil)) }

func (h handMade) call(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request providerpb.CallRequest
	if len(body) < 5 || request.UnmarshalProto(body[5:]) != nil {
		panic(http.ErrAbortHandler)
	}
	switch request.Operation {
	case "Flood":
		flood(w, r, framed([]byte("x")))
	case "Promise":
		_ = send(w, []byte("\x00\x0f\xff\xff\xff"))
		<-r.Context().Done()
	}
	_ = send(w, framed((&providerpb.CallResponse{Payload: request.Payload}).AppendProto(nil)))
}

func flood(w http.ResponseWriter, r *http.Request, b []byte) {
	for r.Context().Err() == nil {
		if send(w, b) != nil {
			return
		}
	}
}

func (h handMade) stdio(w http.ResponseWriter, r *http.Request) {
	switch line := "all work and no play\n"; h.wrong {
	case "endless output through gRPC":
		flood(w, r, framed(append([]byte{number1, 1, bytes2, byte(len(line))}, line...)))
	case "garbage through gRPC":
		flood(w, r, []byte("garbage"))
	}
}

func (h handMade) dispatch(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).Flush()
	request := framed((&providerpb.DispatchRequest{Number: 1, ID: &providerpb.BindingID{Guest: guestID.Guest, Name: guestID.Name}}).AppendProto(nil))
	switch h.wrong {
	case "asks without end":
		go func() { _, _ = io.Copy(io.Discard, r.Body) }()
		flood(w, r, request)
	case "asks for too much":
		large := &providerpb.DispatchRequest{Number: 7, ID: &providerpb.BindingID{Guest: guestID.Guest, Name: guestID.Name}, Payload: make([]byte, 3<<20)}
		_ = send(w, framed(large.AppendProto(nil)))
		answer := make([]byte, 4<<10)
		n, _ := io.ReadAtLeast(r.Body, answer, 6)
		fmt.Printf("answer %q\n", answer[:n])
	case "asks with garbage":
		_ = send(w, framed([]byte("\xff\xff\xff")))
	case "ends the stream":
		return
	}
	<-r.Context().Done()
}

// TestHandMade is the measure for the tests below: nothing is wrong with this one.
func TestHandMade(t *testing.T) {
	p := open(t, link(t, t.TempDir(), "plain"), development("hand-made"))
	bind(t, p, nil, nil)
	if got := mustAsk(t, p, "Echo", "hello"); got != "hello" {
		t.Errorf("the echo is %q", got)
	}
	if err := p.Unbind(within(t), guestID); err != nil {
		t.Error(err)
	}
}

func TestHostilePluginsDoNotStart(t *testing.T) {
	file := link(t, t.TempDir(), "plain")
	for wrong, words := range map[string]string{
		"shows another certificate": "certificate signed by unknown authority",
		"certificate is no base64":  "no base64 without padding",
		"certificate is padded":     "no base64 without padding",
		"certificate is none":       "certificate in its handshake cannot be read",
		"listens elsewhere":         "no such file",
		"speaks no TLS":             "tls: ",
		"is not healthy":            "its health is NOT_SERVING",
		"compresses":                "compressed (flag 1)",
		"answers with 4 GiB":        "4294967295 bytes, more than the 1048576 allowed",
		"sends malformed messages":  "message is malformed",
		"serves pages":              `answers with "text/html"`,
		"resets":                    "the connection",
		"gives no status":           "without a status",
	} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			p, err := plugin.Open(within(t), file, development("hand-made, but "+wrong))
			if err == nil {
				p.Close(within(t))
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), words) || len(err.Error()) > 1000 {
				t.Errorf("the error is %q, want %q in it", err, words)
			}
		})
	}
}

// TestHostilePluginsCostLittle: what they write and ask without end neither keeps
// calls from being answered nor fills the memory.
func TestHostilePluginsCostLittle(t *testing.T) {
	for _, wrong := range []string{"endless output", "endless output through gRPC", "garbage through gRPC", "asks without end"} {
		t.Run(wrong, func(t *testing.T) {
			opts, l := development("hand-made, but "+wrong), newLog()
			opts.Log = l.logger()
			p := open(t, link(t, t.TempDir(), "plain"), opts)
			bind(t, p, &guest{handle: func(ctx context.Context, _ string, _ []byte) (capability.Reply, error) {
				<-ctx.Done()
				return capability.Reply{}, ctx.Err()
			}}, nil)
			for range 200 {
				if got := mustAsk(t, p, "Echo", "hello"); got != "hello" {
					t.Errorf("the echo is %q", got)
				}
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > 100<<20 {
				t.Errorf("%d MiB are alive", m.HeapAlloc>>20)
			}
			if n := len(l.all()); n > 1000 {
				t.Errorf("the log has %d lines", n)
			}
			if err := p.Unbind(within(t), guestID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHostileAnswers(t *testing.T) {
	p := open(t, link(t, t.TempDir(), "plain"), development("hand-made"))
	bind(t, p, nil, nil)
	_, err := ask(t, p, "Flood", "")
	wantError(t, err, capability.CodeInternal, "more than one message")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.Call(ctx, capability.Call{BindingID: guestID, Operation: "Promise"})
	wantError(t, err, capability.CodeDeadline)
	if got := mustAsk(t, p, "Echo", "still there"); got != "still there" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestDispatchesAreBounded(t *testing.T) {
	opts, l := development("hand-made, but asks for too much"), newLog()
	opts.Log, opts.MaxPayload = l.logger(), 1<<20
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	bind(t, p, nil, nil)
	if line := l.wait(t, "answer"); !strings.Contains(line, "too_large") || !strings.Contains(line, "more than the 1048576 allowed") {
		t.Errorf("the answer is %s", line)
	}
	if got := mustAsk(t, p, "Echo", "still there"); got != "still there" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestBrokenDispatchEndsThePlugin(t *testing.T) {
	for wrong, words := range map[string]string{
		"asks with garbage": "its stream to the guests ended: the server's message is malformed",
		"ends the stream":   "its stream to the guests ended: ",
	} {
		opts, l := development("hand-made, but "+wrong), newLog()
		opts.Log = l.logger()
		open(t, link(t, t.TempDir(), "plain"), opts)
		l.wait(t, words)
		l.wait(t, "was started again")
	}
}
