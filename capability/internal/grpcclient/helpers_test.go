package grpcclient_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability/internal/grpcclient"
)

// text is a message that is nothing but its bytes.
type text struct{ s string }

func (t *text) ProtoSize() int                { return len(t.s) }
func (t *text) AppendProto(b []byte) []byte   { return append(b, t.s...) }
func (t *text) UnmarshalProto(b []byte) error { t.s = string(b); return nil }

// patience is how long a test waits for what takes no time.
const patience = time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// certificate is a server's, and what a client trusts it by.
func certificate(t testing.TB) (tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t testing.TB, l net.Listener, config *tls.Config) *grpcclient.Conn {
	t.Helper()
	c, err := grpcclient.Dial(within(t), "tcp", l.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wantError checks an error's code, and that its text holds words.
func wantError(t testing.TB, err error, code grpcclient.Code, words string) {
	t.Helper()
	if err == nil || grpcclient.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("the error is %v (code %d), want one of the code %d with %q", err, grpcclient.CodeOf(err), code, words)
	}
}
