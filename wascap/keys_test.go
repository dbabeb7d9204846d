package wascap_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/waxosuit/waxo/wascap"
)

var allKinds = map[wascap.Kind]string{
	wascap.Account: "A", wascap.Operator: "O", wascap.Module: "M", wascap.Service: "V",
	wascap.Server: "N", wascap.Cluster: "C", wascap.User: "U",
}

func generate(t testing.TB, kind wascap.Kind) *wascap.KeyPair {
	t.Helper()
	k, err := wascap.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seedOf(t testing.TB, k *wascap.KeyPair) []byte {
	t.Helper()
	seed, err := k.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func TestKeyRoundTrip(t *testing.T) {
	for kind, letter := range allKinds {
		k := generate(t, kind)
		public, seed := k.PublicKey().String(), seedOf(t, k)
		if !strings.HasPrefix(public, letter) || !bytes.HasPrefix(seed, []byte("S"+letter)) {
			t.Errorf("%v: public key %s does not start with %s, or its seed not with S%[3]s", kind, public, letter)
		}
		again, err := wascap.FromSeed(seed)
		if err != nil || again.PublicKey() != k.PublicKey() {
			t.Errorf("%v: seed gives %v, %v", kind, again, err)
		}
		parsed, err := wascap.ParsePublicKey(public)
		if err != nil || parsed != k.PublicKey() || parsed.Kind() != kind {
			t.Errorf("%v: public key parses to %v, %v", kind, parsed, err)
		}
		for _, text := range []string{public, string(seed)} {
			if got, err := wascap.KindOf(text); got != kind || err != nil {
				t.Errorf("%v: KindOf gives %v, %v", kind, got, err)
			}
		}
		signature, err := k.Sign([]byte("message"))
		if err != nil || !parsed.Verify([]byte("message"), signature) {
			t.Errorf("%v: own signature refused (%v)", kind, err)
		}
		if parsed.Verify([]byte("massage"), signature) || parsed.Verify([]byte("message"), signature[1:]) {
			t.Errorf("%v: wrong signature accepted", kind)
		}
	}
}

func TestGenerateRefusesUnknownKinds(t *testing.T) {
	for _, kind := range []wascap.Kind{0, wascap.User + 1, 255} {
		if _, err := wascap.Generate(kind); err == nil {
			t.Errorf("%v: made a key", kind)
		}
	}
}

// TestKeysAgreeWithNkeys holds the kinds that package nkeys knows against it.
func TestKeysAgreeWithNkeys(t *testing.T) {
	for kind, prefix := range map[wascap.Kind]nkeys.PrefixByte{
		wascap.Account: nkeys.PrefixByteAccount, wascap.Operator: nkeys.PrefixByteOperator,
		wascap.Server: nkeys.PrefixByteServer, wascap.Cluster: nkeys.PrefixByteCluster, wascap.User: nkeys.PrefixByteUser,
	} {
		theirs, err := nkeys.CreatePair(prefix)
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := theirs.Seed()
		public, _ := theirs.PublicKey()
		ours, err := wascap.FromSeed(seed)
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		if ours.PublicKey().String() != public || ours.PublicKey().Kind() != kind || !bytes.Equal(seedOf(t, ours), seed) {
			t.Errorf("%v: nkeys has %s, we have %v", kind, public, ours.PublicKey())
		}
		signature, err := ours.Sign([]byte("message"))
		if err != nil || theirs.Verify([]byte("message"), signature) != nil {
			t.Errorf("%v: nkeys refuses our signature", kind)
		}
	}
}

// TestPublishedKeys uses keys that the original tools publish, for the two
// kinds that package nkeys does not know.
func TestPublishedKeys(t *testing.T) {
	for text, want := range map[string]wascap.Kind{
		"VAG3QITQQ2ODAOWB5TTQSDJ53XK3SHBEIFNK4AYJ5RKAX2UNSCAPHA5M":   wascap.Service,
		"MASCXFM4R6X63UD5MSCDZYCJNPBVSIU6RKMXUPXRKAOSBQ6UY3VT3NPZ":   wascap.Module,
		"SMAAGJ4DY4FNV4VJWA6QU7UQIL7DKJR4Z3UH7NBMNTH22V6VEIJGJUBQN4": wascap.Module,
	} {
		if kind, err := wascap.KindOf(text); kind != want || err != nil {
			t.Errorf("%.2s: %v, %v", text, kind, err)
		}
	}
}

// TestKeysHaveOneText tries every other character at every place of a key.
func TestKeysHaveOneText(t *testing.T) {
	k := generate(t, wascap.Module)
	public, seed := k.PublicKey().String(), string(seedOf(t, k))
	parsePublic := func(s string) error { _, err := wascap.ParsePublicKey(s); return err }
	parseSeed := func(s string) error { _, err := wascap.FromSeed([]byte(s)); return err }
	for text, parse := range map[string]func(string) error{public: parsePublic, seed: parseSeed} {
		for i := range text {
			for c := range 256 {
				if byte(c) == text[i] {
					continue
				}
				changed := text[:i] + string([]byte{byte(c)}) + text[i+1:]
				if err := parse(changed); !errors.Is(err, wascap.ErrInvalidKey) {
					t.Fatalf("character %d of %d changed to %#x: %v", i, len(text), c, err)
				}
			}
		}
		for _, changed := range []string{"", text + "\n", "\n" + text, text + "=", " " + text, text[1:], text[:len(text)-1], strings.ToLower(text), text + text, text[:8] + "\r\n" + text[8:]} {
			if err := parse(changed); !errors.Is(err, wascap.ErrInvalidKey) {
				t.Errorf("%q: %v", changed, err)
			}
		}
	}
}

// TestKindsOfNoUse refuses well-formed keys whose letters name no kind of ours.
func TestKindsOfNoUse(t *testing.T) {
	curve, err := nkeys.CreateCurveKeys()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := curve.PublicKey()
	seed, _ := curve.Seed()
	if _, err := wascap.ParsePublicKey(public); !errors.Is(err, wascap.ErrInvalidKey) {
		t.Errorf("public curve key: %v", err)
	}
	if _, err := wascap.FromSeed(seed); !errors.Is(err, wascap.ErrInvalidKey) {
		t.Errorf("seed of a curve key: %v", err)
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	p := bytes.Repeat([]byte{0xff}, 32) // 2^255-1, then the values around 2^255-19
	var keys [][]byte
	for low := 0xec; low <= 0xff; low++ {
		y := bytes.Clone(p)
		y[0], y[31] = byte(low), 0x7f
		keys = append(keys, y)
	}
	keys = append(keys, make([]byte, 32), append([]byte{1}, make([]byte, 31)...))
	for _, sign := range []byte{0, 0x80} {
		for _, y := range keys {
			key := bytes.Clone(y)
			key[31] |= sign
			text, err := nkeys.Encode(nkeys.PrefixByteAccount, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wascap.ParsePublicKey(string(text)); !errors.Is(err, wascap.ErrInvalidKey) {
				t.Errorf("y = %x: %v", key, err)
			}
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	k := generate(t, wascap.Account)
	seed := seedOf(t, k)
	raw := secretBytes(t, seed)
	var printed strings.Builder
	values := []any{k, *k, struct{ K *wascap.KeyPair }{k}, struct{ k wascap.KeyPair }{*k}, &struct{ k *wascap.KeyPair }{k},
		[]wascap.KeyPair{*k}, map[string]any{"k": k}, map[string]any{"k": *k}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "k", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "k", v)
		if j, err := json.Marshal(v); err == nil {
			printed.Write(j)
		}
	}
	for i := range seed { // what a slip of the hand makes of a seed
		slip := bytes.Clone(seed)
		slip[i] = '1'
		_, err := wascap.FromSeed(slip)
		fmt.Fprintln(&printed, err)
	}
	for _, text := range []string{string(seed), string(seed) + "\n", string(seed[1:]), strings.ToLower(string(seed))} {
		_, err := wascap.ParsePublicKey(text)
		fmt.Fprintln(&printed, err)
		_, err = wascap.Sign(emptyModule, wascap.Claims{Subject: text}, k, nil)
		fmt.Fprintln(&printed, err)
	}
	all := strings.ToLower(printed.String())
	for _, secret := range []string{string(seed[2:20]), string(seed[20:50]), fmt.Sprintf("%x", raw[:8]), fmt.Sprint(raw[:4])[1:12], fmt.Sprintf("%x", seed[4:16])} {
		if strings.Contains(all, strings.ToLower(secret)) {
			t.Errorf("the secret shows: %q", secret)
		}
	}
	if !strings.Contains(printed.String(), k.PublicKey().String()) {
		t.Error("the public key does not show")
	}
}

func secretBytes(t *testing.T, seed []byte) []byte {
	t.Helper()
	_, raw, err := nkeys.DecodeSeed(seed)
	if err != nil || len(raw) != ed25519.SeedSize {
		t.Fatal(raw, err)
	}
	return raw
}

func TestWipe(t *testing.T) {
	k := generate(t, wascap.Account)
	public, seed := k.PublicKey(), seedOf(t, k)
	other, err := wascap.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	k.Wipe()
	k.Wipe()
	for _, wiped := range []*wascap.KeyPair{k, {}} {
		if _, err := wiped.Seed(); !errors.Is(err, wascap.ErrWiped) {
			t.Errorf("Seed: %v", err)
		}
		if _, err := wiped.Sign(nil); !errors.Is(err, wascap.ErrWiped) {
			t.Errorf("Sign: %v", err)
		}
	}
	if k.PublicKey() != public {
		t.Error("the public key is gone")
	}
	if !bytes.Equal(seedOf(t, other), seed) {
		t.Error("another key pair of the same seed was wiped, too")
	}
}
