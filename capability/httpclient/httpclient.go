// Package httpclient offers the capability "wascap:http_client": the host sends
// the HTTP requests of a guest, to where the guest may go.
//
// A request's path is the absolute URL, http or https, percent-encoded;
// query_string follows it, after a question mark, or after an ampersand where the
// path has a query already. A method that is left out is GET. Whatever status the
// server answers is an answer and no error.
//
// # Where a guest may go
//
// Without an allow-list a guest reaches every address in development, and
// outside development every public one: no private, loopback, link-local, shared
// or reserved address, no multicast, no cloud's metadata service, and none of
// these dressed up as IPv6. With an allow-list it reaches what that names and
// nothing else, in development too:
//
//   - api.example.com, the host, with whatever public or private address it has;
//   - *.example.com, all hosts below that, with public addresses;
//   - *, all hosts, with public addresses;
//   - 127.0.0.1, 2001:db8::1, 10.0.0.0/8: addresses, also behind any host's name.
//
// Each may have a port, 127.0.0.1:9000 or [::1]:9000, and without one stands for
// all of them; a network has none. Link-local addresses and metadata services
// have to be named as addresses.
//
// What counts is the address that is dialled, at each dial, so it does not matter
// what a name resolved to before, and every redirect is a request of its own.
// Where a proxy is used, the proxy dials and the proxy resolves: then the URL is
// checked, and hosts that are private by their very name, such as localhost or
// db.internal, are refused like private addresses. The proxy itself may have any
// address.
//
// # Headers
//
// Header fields that concern a connection, Expect and Content-Length are left
// out, as the provider has its own; Host is that of the URL, and any other is
// refused. A response has repeated fields joined by commas, and cookies, whose
// values may hold commas, one a line in Set-Cookie. Trailers are dropped.
//
// Unless the guest asks for an encoding itself, by Accept-Encoding, or for a
// Range, gzip is asked for and undone, and the response is as if it had never been
// compressed. The limit on responses counts what comes out.
//
// # Redirects and repetitions
//
// 301, 302 and 303 are followed with GET, 307 and 308 with the same method and
// body. Authorization and Cookie do not go along to another domain. What is not
// idempotent is never sent again: a request may be repeated, once a connection
// that was kept turns out to be closed, if it is a GET, HEAD, OPTIONS or TRACE,
// if nothing of it was sent yet, if the server says that it did not look at it,
// or if the guest marks it with an Idempotency-Key.
//
// # Errors
//
// CodeInvalid for a request that makes no sense, CodeDenied for a host or an
// address that the guest may not reach, with what to add, CodeTooLarge for a
// response beyond the limit, CodeUnavailable where the server cannot be reached or
// breaks off, CodeDeadline and CodeCanceled as the context says, CodeUnsupported
// for another operation, CodeInternal for too many redirects.
package httpclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/waxosuit/waxo/capability"
)

// Options configure a Provider; nil works.
type Options struct {
	// Proxy finds the proxy for a request where the binding does not name one, as
	// http.ProxyFromEnvironment does; it may return nil. Default: no proxy.
	Proxy func(*http.Request) (*url.URL, error)

	// Resolver looks up hosts. Default: net.DefaultResolver.
	Resolver *net.Resolver

	// TLS is the configuration of secure connections. Default: that of crypto/tls,
	// with the system's roots.
	TLS *tls.Config

	// MaxResponse bounds a response's body, in bytes, where the binding does not.
	// Default: 32 MiB.
	MaxResponse int64
}

// Provider is the provider of "wascap:http_client". A binding's Config has:
//
//   - allow: where the guest may go, separated by commas; see above. Default:
//     everywhere in development, else to public addresses.
//   - timeout: for one request with its redirects, within the deadline of the
//     call, such as 5s. Default: 20s.
//   - max_response: the most bytes of a response's body, such as 64KiB. Default:
//     that of Options.
//   - redirects: the most that are followed; with 0 the guest gets the redirect as
//     the response. Default: 10.
//   - proxy: http://, https:// or socks5://, with user and password where need be;
//     none for no proxy. Default: that of Options.
type Provider struct {
	opts     Options
	bindings capability.Bindings[*client]
}

var _ capability.Provider = (*Provider)(nil)

const version = "0.1.0"

// New makes a provider.
func New(opts *Options) *Provider {
	p := &Provider{}
	if opts != nil {
		p.opts = *opts
	}
	p.opts.MaxResponse = cmp.Or(p.opts.MaxResponse, 32<<20)
	return p
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.HTTPClient,
		Name:       "HTTP client",
		Version:    version,
		Operations: []string{capability.OpPerformRequest},
	}
}

// Bind implements capability.Provider. It connects to nothing yet.
func (p *Provider) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	s, err := p.read(b)
	if err != nil {
		return err
	}
	return p.bindings.Add(b.BindingID, p.newClient(s))
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	if c.Operation != capability.OpPerformRequest {
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "wascap:http_client has no operation " + strconv.Quote(c.Operation)}
	}
	return b.Value.perform(ctx, c)
}

// Unbind implements capability.Provider.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	c, ok, err := p.bindings.Remove(ctx, id)
	if ok {
		c.close()
	}
	return err
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	clients, err := p.bindings.Close(ctx)
	for _, c := range clients {
		c.close()
	}
	return err
}

// client is what one binding sends with. Its connections are its own: who dialled
// under another binding's policy is of no use here.
type client struct {
	settings
	http http.Client
	sender
}

func (p *Provider) newClient(s settings) *client {
	c := &client{settings: s}
	c.sender.policy, c.sender.proxy = s.policy, s.proxy
	c.sender.direct = p.transport(s.policy)
	if s.proxy != nil {
		c.sender.proxied = p.transport(nil)
		c.sender.proxied.Proxy = chosenProxy
	}
	c.http = http.Client{Transport: &c.sender, CheckRedirect: c.checkRedirect}
	return c
}

// perform sends one request and encodes the answer.
func (c *client) perform(ctx context.Context, call capability.Call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := newRequest(ctx, call.Payload)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failed(ctx, req, err)
	}
	defer resp.Body.Close()
	answer, err := appendResponse(call.Into[:0], resp, c.maxResponse)
	if err != nil {
		return nil, c.failed(ctx, resp.Request, err)
	}
	return answer, nil
}

func (c *client) checkRedirect(_ *http.Request, via []*http.Request) error {
	switch {
	case c.redirects == 0:
		return http.ErrUseLastResponse
	case len(via) > c.redirects:
		return &capability.Error{
			Code:    capability.CodeInternal,
			Message: "the server redirected more than " + strconv.Itoa(c.redirects) + " times; if that is meant, raise redirects in the config of the binding",
		}
	}
	return nil
}
