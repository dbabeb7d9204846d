// Package grpcclient is as much of gRPC's client as a host needs for its plugins:
// calls and streams over one connection, on top of net/http's HTTP/2.
//
// It is what https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md asks
// of a client. Whatever the server sends, the answer comes as soon as the context
// ends, and takes little more memory than the bytes that have arrived.
//
// What is left out: compression, metadata, retries, name resolution, load
// balancing, and a second connection when the first is lost.
package grpcclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxHeaders is how long the headers and the trailers of an answer may be, in
// bytes. The text of an error is among them.
const maxHeaders = 64 << 10

// Message is what payload codecs are. AppendProto appends ProtoSize bytes.
type Message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
	UnmarshalProto([]byte) error
}

// Conn is a connection to a server. Its methods may be called at the same time.
type Conn struct {
	http *http.ClientConn
	host string
	cork *cork
}

// Dial connects to a server, whose name is config.ServerName. ctx bounds no more
// than that.
func Dial(ctx context.Context, network, address string, config *tls.Config) (*Conn, error) {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	secure, err := dialTLS(ctx, network, address, config)
	if err != nil {
		return nil, err
	}
	conn := newCork(secure)
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
	}
	// That is, without TLS of the transport's own.
	transport.Protocols.SetUnencryptedHTTP2(true)
	c, err := transport.NewClientConn(ctx, "http", net.JoinHostPort(config.ServerName, "80"))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Conn{http: c, host: config.ServerName, cork: conn}, nil
}

func dialTLS(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	plain, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		conn.Close()
		return nil, fmt.Errorf("the server at %s does not offer HTTP/2 (ALPN h2), which gRPC needs", address)
	}
	return conn, nil
}

// Close closes the connection. What is under way fails.
func (c *Conn) Close() error { return c.http.Close() }

// Lost tells whether the connection is closed, by whichever side.
func (c *Conn) Lost() bool { return c.http.Err() != nil }

// Call performs a method that takes one message and answers with one, of at most
// limit bytes. The answer must keep nothing of the bytes that it is decoded from.
// An error is an *Error.
func (c *Conn) Call(ctx context.Context, method string, request, answer Message, limit int) error {
	res, err := c.open(ctx, method, newBody(request))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	buffer := takeBuffer()
	defer buffer.release()
	if err := readMessage(res.Body, buffer, limit); err != nil {
		return cmp.Or(failure(ctx, res, err), error(&Error{Internal, "the server ends its answer well, but gives none"}))
	}
	// The end, and with it the status. A second message would be an error; none of
	// it is waited for.
	var more [1]byte
	if n, err := res.Body.Read(more[:]); n > 0 {
		return &Error{Internal, "the server answers a call with more than one message"}
	} else if err := failure(ctx, res, err); err != nil {
		return err
	}
	return decode(answer, buffer.bytes)
}

func decode(m Message, b []byte) error {
	if err := m.UnmarshalProto(b); err != nil {
		return &Error{Internal, fmt.Sprintf("the server's message is malformed: %v", err)}
	}
	return nil
}

// open sends a request and waits for the headers of the answer.
func (c *Conn) open(ctx context.Context, method string, body io.ReadCloser) (*http.Response, error) {
	header := http.Header{
		"Content-Type": {"application/grpc+proto"},
		"Te":           {"trailers"},
		"User-Agent":   {"waxo"},
	}
	if deadline, ok := ctx.Deadline(); ok {
		header["Grpc-Timeout"] = []string{timeout(time.Until(deadline))}
	}
	request := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: c.host, Path: method}, Host: c.host,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: header, Body: body, ContentLength: -1,
	}
	res, err := c.http.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, broken(ctx, err)
	}
	if err := check(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// timeout is a time as the header has it: at most eight digits and a unit. Three
// years are enough.
func timeout(d time.Duration) string {
	const most = 99_999_999
	switch {
	case d <= 0:
		return "1n"
	case d.Microseconds() < most:
		return strconv.FormatInt(d.Microseconds()+1, 10) + "u"
	case d.Milliseconds() < most:
		return strconv.FormatInt(d.Milliseconds()+1, 10) + "m"
	}
	return strconv.FormatInt(min(int64(d/time.Second)+1, most), 10) + "S"
}
