package wascap_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// emptyModule is a module without a section; smallModule has a type section
// with one function type, and a custom section.
var (
	emptyModule = wasm.Magic[:]
	smallModule = append(append([]byte{}, wasm.Magic[:]...),
		1, 4, 1, 0x60, 0, 0,
		0, 5, 1, 'x', 1, 2, 3)
)

// noon is the time that tests sign and verify at.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var b64 = base64.RawURLEncoding

// fixedKey makes the same key of a kind for the same label each time.
func fixedKey(t testing.TB, kind wascap.Kind, label string) *wascap.KeyPair {
	t.Helper()
	prefix := map[wascap.Kind]byte{wascap.Account: 0, wascap.Operator: 14 << 3, wascap.Module: 12 << 3,
		wascap.Service: 21 << 3, wascap.Server: 13 << 3, wascap.Cluster: 2 << 3, wascap.User: 20 << 3}[kind]
	raw := sha256.Sum256([]byte(label))
	k, err := wascap.FromSeed([]byte(wascap.EncodeSeedForTest(prefix, raw[:])))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pub(k *wascap.KeyPair) string { return k.PublicKey().String() }

// mustSign signs for noon with a fixed ID.
func mustSign(t testing.TB, module []byte, claims wascap.Claims, issuer *wascap.KeyPair) []byte {
	t.Helper()
	signed, err := wascap.Sign(module, claims, issuer, &wascap.SignOptions{IssuedAt: noon, ID: "id"})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

const goodHeader = `{"typ":"jwt","alg":"Ed25519"}`

// forge makes a token of any header and payload, signed properly.
func forge(t testing.TB, header, payload string, issuer *wascap.KeyPair) string {
	t.Helper()
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	signature, err := issuer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64.EncodeToString(signature)
}

// embed appends a custom section to a module.
func embed(module []byte, name, content string) []byte {
	body := append(wasm.AppendUint32(nil, uint32(len(name))), name+content...)
	out := append(append([]byte{}, module...), 0)
	return append(wasm.AppendUint32(out, uint32(len(body))), body...)
}

// reasonOf gives the reason of a refusal, "" for none, and fails the test if
// the error is of another type.
func reasonOf(t testing.TB, err error) wascap.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var refusal *wascap.VerifyError
	if !errors.As(err, &refusal) || refusal.Err == nil {
		t.Fatalf("the error is %T: %v", err, err)
	}
	return refusal.Reason
}
