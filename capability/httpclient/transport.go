package httpclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

const (
	// connectTimeout bounds a dial, and a TLS handshake.
	connectTimeout = 10 * time.Second

	// idleTimeout is how long a connection is kept that nobody uses, idleConns how
	// many of them: to one host as many as a guest has instances.
	idleTimeout = 90 * time.Second
	idleConns   = 256
	idlePerHost = 128

	// maxHeader bounds a response's header, in bytes.
	maxHeader = 1 << 20
)

// sender sends a request, or the one that a redirect makes of it, to where the
// policy lets it go.
type sender struct {
	policy  *policy
	proxy   func(*http.Request) (*url.URL, error) // nil: none
	direct  *http.Transport
	proxied *http.Transport // dials proxies alone; nil without proxy
}

// RoundTrip implements http.RoundTripper.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	transport, r, err := s.route(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return transport.RoundTrip(r)
}

func (s *sender) route(r *http.Request) (*http.Transport, *http.Request, error) {
	t, err := targetOf(r.URL)
	if err == nil {
		err = s.policy.permitsName(t)
	}
	if err != nil || s.proxy == nil {
		return s.direct, r, err
	}
	proxy, err := s.proxy(r)
	if err != nil || proxy == nil {
		return s.direct, r, err
	}
	// What is dialled is decided here, once: the transport that knows no policy
	// gets the proxy with the request.
	ctx := context.WithValue(r.Context(), proxyKey{}, proxy)
	return s.proxied, r.WithContext(ctx), s.policy.permitsProxied(t)
}

func (s *sender) close() {
	s.direct.CloseIdleConnections()
	if s.proxied != nil {
		s.proxied.CloseIdleConnections()
	}
}

type proxyKey struct{}

var errNoProxy = errors.New("no proxy was chosen for the request")

// chosenProxy is the proxy that route chose.
func chosenProxy(r *http.Request) (*url.URL, error) {
	if proxy, ok := r.Context().Value(proxyKey{}).(*url.URL); ok {
		return proxy, nil
	}
	return nil, errNoProxy
}

// transport makes a pool of connections that are dialled under a policy, nil for
// none.
func (p *Provider) transport(policy *policy) *http.Transport {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: connectTimeout, Resolver: p.opts.Resolver}
		if policy != nil {
			t, err := dialled(address)
			if err != nil {
				return nil, err
			}
			d.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
				return policy.permitsDial(t, resolved)
			}
		}
		return d.DialContext(ctx, network, address)
	}
	t := &http.Transport{
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    connectTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idlePerHost,
		MaxResponseHeaderBytes: maxHeader,
	}
	if p.opts.TLS != nil {
		t.TLSClientConfig = p.opts.TLS.Clone()
	}
	return t
}

// dialled is the target that a transport dials, as host:port.
func dialled(address string) (target, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return target{}, err
	}
	return targetOf(&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)})
}

// permitsDial decides on the address that the system is about to connect to.
func (p *policy) permitsDial(t target, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return p.denied(t, t.host, "is dialled as "+strconv.Quote(address)+", which is no address", netip.Addr{})
	}
	return p.permits(t, to.Addr())
}
