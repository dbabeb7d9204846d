package httpclient_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

// bind makes a provider with one binding, outside development.
func bind(t testing.TB, opts *httpclient.Options, config map[string]string) *httpclient.Provider {
	t.Helper()
	return bindAs(t, opts, capability.Binding{BindingID: id, Config: config})
}

func bindAs(t testing.TB, opts *httpclient.Options, b capability.Binding) *httpclient.Provider {
	t.Helper()
	p := httpclient.New(opts)
	if err := p.Bind(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// open makes a provider that may go everywhere.
func open(t testing.TB, config map[string]string) *httpclient.Provider {
	t.Helper()
	return bindAs(t, nil, capability.Binding{BindingID: id, Config: config, Development: true})
}

func send(t testing.TB, p *httpclient.Provider, r httppb.Request) (*httppb.Response, error) {
	t.Helper()
	return sendWith(t.Context(), p, r)
}

func sendWith(ctx context.Context, p *httpclient.Provider, r httppb.Request) (*httppb.Response, error) {
	answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: r.AppendProto(nil)})
	if err != nil {
		return nil, err
	}
	resp := new(httppb.Response)
	return resp, resp.UnmarshalProto(answer)
}

// get expects a status and a body.
func get(t testing.TB, p *httpclient.Provider, url string, status uint32, body string) {
	t.Helper()
	resp, err := send(t, p, httppb.Request{Path: url})
	if err != nil {
		t.Errorf("%s: %v", url, err)
	} else if resp.StatusCode != status || string(resp.Body) != body {
		t.Errorf("%s: %d %q, want %d %q", url, resp.StatusCode, resp.Body, status, body)
	}
}

// is fails the test unless err has a code and its text some words.
func is(t testing.TB, err error, code capability.Code, words ...string) {
	t.Helper()
	if !errors.Is(err, &capability.Error{Code: code}) {
		t.Errorf("error %v, want one of %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %v, want one with %q", err, w)
		}
	}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// victim is a server that must not be reached.
type victim struct {
	net.Listener
	port string
}

func newVictim(t testing.TB, address string) *victim {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{Listener: l}
	_, v.port, _ = net.SplitHostPort(l.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Errorf("%s was reached", address)
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return v
}

// resolver answers each look-up of a host with what answer says.
func resolver(answer func(host string) []netip.Addr) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go answerDNS(server, answer)
			return client, nil
		},
	}
}

// answerDNS serves one connection as a DNS server, in the form of TCP.
func answerDNS(conn net.Conn, answer func(host string) []netip.Addr) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var labels []string
		at := 12
		for query[at] != 0 {
			n := int(query[at])
			labels = append(labels, string(query[at+1:at+1+n]))
			at += 1 + n
		}
		kind := binary.BigEndian.Uint16(query[at+1:])
		reply := append([]byte(nil), query[:at+5]...)
		reply[2], reply[3] = 0x81, 0x80
		var records uint16
		for _, a := range answer(strings.Join(labels, ".")) {
			if a.Is4() != (kind == 1) {
				continue
			}
			records++
			reply = append(reply, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
			reply = append(reply, a.AsSlice()...)
		}
		binary.BigEndian.PutUint16(reply[4:], 1)
		binary.BigEndian.PutUint16(reply[6:], records)
		clear(reply[8:12])
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// raw is a server that answers each request on its connections as it is told: ""
// closes the connection.
func raw(t testing.TB, answer func(n int32, head string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int32
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					said := answer(count.Add(1), req.Method)
					io.WriteString(conn, said)
					if said == "" {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return "http://" + l.Addr().String()
}

// hangUp is a server that says one thing and closes the connection.
func hangUp(t testing.TB, said string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, said)
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return "http://" + l.Addr().String()
}
