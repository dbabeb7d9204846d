package guestsuite_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// signed signs a module in the way that a patch names.
func signed(t *testing.T, module []byte, p *patch) []byte {
	t.Helper()
	now := time.Now()
	switch p.signed {
	case "":
		return sign(t, module, p.claims...)
	case "unsigned":
		return module
	case "two-sections":
		once := sign(t, module, p.claims...)
		return append(once, once[claimsAt(t, once):]...)
	case "not-last":
		return append(sign(t, module, p.claims...), custom("note", "x")...)
	case "padded":
		whole := sign(t, module, p.claims...)
		at := claimsAt(t, whole) + 1
		_, n, err := wasm.Uint32(whole[at:])
		if err != nil {
			t.Fatal(err)
		}
		whole[at+n-1] |= 0x80
		return slices.Insert(whole, at+n, 0)
	case "other-module":
		other := sign(t, append(slices.Clone(module), custom("note", "x")...), p.claims...)
		return append(slices.Clone(module), other[claimsAt(t, other):]...)
	case "no-token":
		return append(slices.Clone(module), custom("jwt", "no token")...)
	case "expired":
		return signAs(t, module, wascap.Claims{Expires: now.Add(-24 * time.Hour), Capabilities: p.claims})
	case "not-yet":
		return signAs(t, module, wascap.Claims{NotBefore: now.Add(24 * time.Hour), Capabilities: p.claims})
	case "throwaway":
		return signAs(t, module, wascap.Claims{Tags: []string{wascap.DevTag}, Capabilities: p.claims})
	}
	return forged(t, module, p)
}

func signAs(t *testing.T, module []byte, claims wascap.Claims) []byte {
	t.Helper()
	claims.Name, claims.Subject = "guest", key(t, wascap.Module).PublicKey().String()
	whole, err := wascap.Sign(module, claims, key(t, wascap.Account), nil)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// forged signs a module with a token that package wascap would not make.
func forged(t *testing.T, module []byte, p *patch) []byte {
	t.Helper()
	whole := sign(t, module, p.claims...)
	token, err := wascap.Extract(whole)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.String(), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	header, claims, issuer := `{"typ":"jwt","alg":"Ed25519"}`, string(payload), key(t, wascap.Account)
	issued := func(by *wascap.KeyPair) string {
		return strings.Replace(claims, token.Claims.Issuer, by.PublicKey().String(), 1)
	}
	switch p.signed {
	case "other-key": // than that of the issuer
	case "algorithm-none":
		header, claims = `{"typ":"jwt","alg":"none"}`, issued(issuer)
	case "no-hash":
		claims = strings.Replace(issued(issuer), `"hash"`, `"hush"`, 1)
	case "operator":
		issuer = key(t, wascap.Operator)
		claims = issued(issuer)
	default:
		t.Fatalf("nobody can sign %q", p.signed)
	}
	message := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := issuer.Sign([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(module), custom("jwt", message+"."+base64.RawURLEncoding.EncodeToString(signature))...)
}

// claimsAt is where the claims section of a signed module begins.
func claimsAt(t *testing.T, module []byte) int {
	t.Helper()
	sections, err := wasm.Sections(module)
	if err != nil {
		t.Fatal(err)
	}
	return sections[len(sections)-1].Start
}

func custom(name, content string) []byte {
	body := fmt.Sprintf("%c%s%s", len(name), name, content)
	return append(wasm.AppendUint32([]byte{0}, uint32(len(body))), body...)
}
