package wascap

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/waxosuit/waxo/wapc/wasm"
)

var fuzzTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// FuzzVerify holds every accepted module against the one that was signed: they
// may differ in the name of the claims section alone. What Extract reads must
// be the module again when it is put together.
func FuzzVerify(f *testing.F) {
	account := newFuzzKey(Account)
	module := append(bytes.Clone(wasm.Magic[:]), 1, 4, 1, 0x60, 0, 0)
	claims := Claims{Subject: newFuzzKey(Module).PublicKey().String(), Capabilities: []string{"a:b"}}
	signed, err := Sign(module, claims, account, &SignOptions{IssuedAt: fuzzTime, ID: "id"})
	if err != nil {
		f.Fatal(err)
	}
	token, err := Verify(signed, fuzzTime)
	if err != nil {
		f.Fatal(err)
	}
	later := appendSection(bytes.Clone(module), sectionNameLater, []byte(token.String()))
	f.Add(signed)
	f.Add(later)
	f.Add(module)
	f.Add(append(bytes.Clone(signed), signed[len(module):]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Verify(b, fuzzTime); err == nil && !bytes.Equal(b, signed) && !bytes.Equal(b, later) {
			t.Errorf("accepted: %x", b)
		}
		token, covered, err := extract(b)
		if err != nil {
			return
		}
		if again := appendSection(bytes.Clone(covered), token.Section, []byte(token.String())); !bytes.Equal(again, b) {
			t.Errorf("%x is put together again as %x", b, again)
		}
	})
}

// newFuzzKey makes the same key of a kind each time, as every worker of the
// fuzzer sets up its own.
func newFuzzKey(kind Kind) *KeyPair {
	return newKeyPair(kind, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(kind)}, ed25519.SeedSize)))
}

// FuzzParseClaims checks that claims which were read can be written, that what
// was written is read as the same claims and written as the same bytes, and
// that encoding/json sees the same in it.
func FuzzParseClaims(f *testing.F) {
	file, err := os.ReadFile("testdata/real-claims.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(strings.Fields(line)[2], ".")[1])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	operator, account := newFuzzKey(Operator).PublicKey().String(), newFuzzKey(Account).PublicKey().String()
	f.Add([]byte(`{"jti":"","iat":0,"iss":"` + operator + `","sub":"` + account + `","wascap":{"name":null,"valid_signers":["` + account + `"]},"wascap_revision":3}`))
	f.Add([]byte(`{"a":[1.5e+3,-0,true,false,null,{"\ud83d\ude00\n":""}],"exp":1,"nbf":2}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if _, err := parseObject(payload); err == nil && !json.Valid(payload) {
			t.Errorf("encoding/json refuses %q", payload)
		}
		first, err := parseClaims(payload)
		if err != nil {
			return
		}
		encoded := first.encode()
		second, err := parseClaims(encoded)
		if err != nil {
			t.Fatalf("%s is written as %s: %v", payload, encoded, err)
		}
		if again := second.encode(); !bytes.Equal(again, encoded) {
			t.Errorf("%s is written again as %s", encoded, again)
		}
		if second.Form = first.Form; !reflect.DeepEqual(first, second) {
			t.Errorf("%s is read again as %+v, not %+v", payload, second, first)
		}
		var std struct {
			Iss, Sub string
			Exp, Nbf int64
			Wascap   struct{ Caps []string }
		}
		if err := json.Unmarshal(encoded, &std); err != nil || std.Iss != first.Issuer || std.Sub != first.Subject ||
			len(std.Wascap.Caps) != len(first.Capabilities) || (std.Exp == 0) != (first.Expires.IsZero() || first.Expires.Unix() == 0) {
			t.Errorf("encoding/json reads %s as %+v, %v", encoded, std, err)
		}
	})
}

// FuzzParseToken checks that a token which parses has one text.
func FuzzParseToken(f *testing.F) {
	file, err := os.ReadFile("testdata/real-claims.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		f.Add(strings.Fields(line)[2])
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		segments := strings.Split(text, ".")
		for i, s := range segments {
			decoded, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			segments[i] = base64.RawURLEncoding.EncodeToString(decoded)
		}
		if again := strings.Join(segments, "."); again != text || token.String() != text {
			t.Errorf("%q is encoded again as %q", text, again)
		}
	})
}

// FuzzParseKey checks that a key which parses has one text, and that package
// nkeys agrees where it knows the kind.
func FuzzParseKey(f *testing.F) {
	for kind := Account; int(kind) < len(kinds); kind++ {
		k := newFuzzKey(kind)
		seed, err := k.Seed()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.PublicKey().String())
		f.Add(string(seed))
	}
	f.Fuzz(func(t *testing.T, text string) {
		// With the checksum mended, since no fuzzer finds one.
		for _, text := range []string{text, mendChecksum(text)} {
			if p, err := ParsePublicKey(text); err == nil {
				if p.String() != text {
					t.Errorf("public key %q is written as %q", text, p)
				}
				if p.kind != Module && p.kind != Service && !nkeys.IsValidPublicKey(text) {
					t.Errorf("nkeys refuses %q", text)
				}
			}
			if k, err := FromSeed([]byte(text)); err == nil {
				if seed, err := k.Seed(); err != nil || string(seed) != text {
					t.Errorf("seed %q is written as %q", text, seed)
				}
			}
		}
	})
}

// mendChecksum gives text with the checksum that belongs there, or text itself.
func mendChecksum(text string) string {
	raw, err := keyEncoding.DecodeString(text)
	if err != nil || len(raw) < 3 {
		return text
	}
	return string(encodeKey(nil, raw[:len(raw)-2]))
}
