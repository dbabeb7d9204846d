package wascap_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wascap"
)

var update = flag.Bool("update", false, "write the vectors anew")

// The vectors are for implementations in any language; their README says what
// the fields mean. Results of refusals come from the tables of this package's
// tests, not from the implementation.
type (
	keyVector struct {
		Name      string `json:"name"`
		Text      string `json:"text"`             // a public key or a seed
		Result    string `json:"result"`           // ok or invalid
		Kind      string `json:"kind,omitempty"`   // if ok
		Public    string `json:"public,omitempty"` // if a seed
		Message   string `json:"message,omitempty"`
		Signature string `json:"signature,omitempty"` // of the message, hex
	}
	signVector struct {
		Name    string     `json:"name"`
		Seed    string     `json:"issuer_seed"`
		Claims  claimsJSON `json:"claims"`
		Module  string     `json:"module"`  // hex
		Payload string     `json:"payload"` // of the token
		Signed  string     `json:"signed"`  // hex
	}
	claimsJSON struct {
		ID           string   `json:"id"`
		Subject      string   `json:"subject"`
		IssuedAt     int64    `json:"issued_at"`
		NotBefore    int64    `json:"not_before,omitempty"`
		Expires      int64    `json:"expires,omitempty"`
		Name         string   `json:"name,omitempty"`
		Capabilities []string `json:"capabilities,omitempty"`
		Tags         []string `json:"tags,omitempty"`
		Revision     int      `json:"revision,omitempty"`
		Version      string   `json:"version,omitempty"`
		CallAlias    string   `json:"call_alias,omitempty"`
		Provider     bool     `json:"provider,omitempty"`
	}
	verifyVector struct {
		Name   string `json:"name"`
		Module string `json:"module,omitempty"` // hex; or
		Token  string `json:"token,omitempty"`  // of an account or operator
		At     int64  `json:"at"`
		Result string `json:"result"` // ok or a reason
	}
)

func (c claimsJSON) claims() wascap.Claims {
	at := func(s int64) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return time.Unix(s, 0)
	}
	return wascap.Claims{Subject: c.Subject, NotBefore: at(c.NotBefore), Expires: at(c.Expires), Name: c.Name,
		Capabilities: c.Capabilities, Tags: c.Tags, Revision: c.Revision, Version: c.Version, CallAlias: c.CallAlias, Provider: c.Provider}
}

func (v signVector) sign(t *testing.T) []byte {
	t.Helper()
	issuer, err := wascap.FromSeed([]byte(v.Seed))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := wascap.Sign(unhex(t, v.Module), v.Claims.claims(), issuer,
		&wascap.SignOptions{IssuedAt: time.Unix(v.Claims.IssuedAt, 0), ID: v.Claims.ID})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vectorPath(name string) string { return filepath.Join("testdata", "vectors", name) }

// TestVectorsAreCurrent holds the files against their generator.
func TestVectorsAreCurrent(t *testing.T) {
	verify := slices.Concat(moduleVectors(t), headerVectors(t), payloadVectors(t))
	for name, vectors := range map[string]any{"keys.json": makeKeyVectors(t), "sign.json": makeSignVectors(t), "verify.json": verify} {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(vectors); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(vectorPath(name), want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(vectorPath(name))
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what its generator makes: go test ./wascap -run TestVectorsAreCurrent -update (%v)", name, err)
		}
	}
}

func makeKeyVectors(t *testing.T) []keyVector {
	var vectors []keyVector
	for kind := wascap.Account; kind <= wascap.User; kind++ {
		k := fixedKey(t, kind, kind.String())
		signature, err := k.Sign([]byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors,
			keyVector{Name: kind.String(), Text: pub(k), Kind: kind.String(), Result: "ok"},
			keyVector{Name: "seed of " + kind.String(), Text: string(seedOf(t, k)), Kind: kind.String(), Result: "ok",
				Public: pub(k), Message: "message", Signature: hex.EncodeToString(signature)})
	}
	k := fixedKey(t, wascap.Module, "m")
	public, seed := pub(k), string(seedOf(t, k))
	last := seed[len(seed)-1:]
	spare := string("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[strings.Index("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", last)|1])
	curve := wascap.EncodePublicForTest(23<<3, bytes.Repeat([]byte{9}, 32))
	raw := sha256.Sum256([]byte("m")) // the secret of seed
	spareHead := wascap.EncodePublicForTest(18<<3|3, append([]byte{1}, raw[:]...))
	for name, text := range map[string]string{
		"empty": "", "lower case": strings.ToLower(public), "line break": public + "\n", "padding": public + "======",
		"letters swapped": public[:20] + public[21:22] + public[20:21] + public[22:], "cut": public[:55], "prefix changed": "A" + public[1:],
		"seed with spare bits": seed[:len(seed)-1] + spare, "seed in lower case": strings.ToLower(seed), "seed cut": seed[:57],
		"point of small order": "A" + strings.Repeat("A", 55), "curve key": curve, "seed with spare bits in its head": spareHead,
	} {
		vectors = append(vectors, keyVector{Name: name, Text: text, Result: "invalid"})
	}
	slices.SortStableFunc(vectors[2*len(allKinds):], func(a, b keyVector) int { return strings.Compare(a.Name, b.Name) })
	return vectors
}

func makeSignVectors(t *testing.T) []signVector {
	seed := string(seedOf(t, fixedKey(t, wascap.Account, "a")))
	subject := pub(fixedKey(t, wascap.Module, "m"))
	small := hex.EncodeToString(smallModule)
	resigned := embed(embed(smallModule, "wasmcloud_jwt", "old"), "jwt", "older")
	vectors := []signVector{
		{Name: "least", Claims: claimsJSON{ID: "1"}, Module: hex.EncodeToString(emptyModule)},
		{Name: "all claims", Module: small, Claims: claimsJSON{ID: "2", NotBefore: noon.Unix(), Expires: noon.Unix() + 86400,
			Name: "Zähler \"1\" \\ <&>\u2028\U0001f600", Capabilities: []string{"wascap:keyvalue", "wascap:http_server"},
			Tags: []string{"waxo:dev", "b"}, Revision: 3, Version: "0.1.0", CallAlias: "acme/counter", Provider: true}},
		{Name: "claims replaced", Claims: claimsJSON{ID: "3", Name: "new"}, Module: hex.EncodeToString(resigned)},
	}
	for i := range vectors {
		v := &vectors[i]
		v.Seed, v.Claims.Subject, v.Claims.IssuedAt = seed, subject, noon.Unix()
		signed := v.sign(t)
		v.Signed, v.Payload = hex.EncodeToString(signed), payloadOf(t, signed)
	}
	return vectors
}

func payloadOf(t *testing.T, signed []byte) string {
	t.Helper()
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := b64.DecodeString(strings.Split(token.String(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// readVectors fails on an unknown field, on trailing data and on an empty file.
func readVectors[V any](t *testing.T, name string) []V {
	t.Helper()
	file, err := os.ReadFile(vectorPath(name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	var vectors []V
	if err := decoder.Decode(&vectors); err != nil || len(vectors) == 0 || decoder.More() {
		t.Fatalf("%s: %d vectors, %v", name, len(vectors), err)
	}
	return vectors
}

func TestKeyVectors(t *testing.T) {
	for _, v := range readVectors[keyVector](t, "keys.json") {
		kind, err := wascap.KindOf(v.Text)
		switch {
		case v.Result == "invalid":
			if err == nil {
				t.Errorf("%s: accepted", v.Name)
			}
		case v.Result != "ok":
			t.Errorf("%s: unknown result %q", v.Name, v.Result)
		case err != nil || kind.String() != v.Kind:
			t.Errorf("%s: %v, %v", v.Name, kind, err)
		case v.Public != "":
			k, err := wascap.FromSeed([]byte(v.Text))
			if err != nil || pub(k) != v.Public || !k.PublicKey().Verify([]byte(v.Message), unhex(t, v.Signature)) {
				t.Errorf("%s: %v, %v", v.Name, k, err)
			}
		}
	}
}

func TestSignVectors(t *testing.T) {
	for _, v := range readVectors[signVector](t, "sign.json") {
		signed := v.sign(t)
		if hex.EncodeToString(signed) != v.Signed || payloadOf(t, signed) != v.Payload {
			t.Errorf("%s: signing gives payload %s, want %s", v.Name, payloadOf(t, signed), v.Payload)
		}
		if _, err := wascap.Verify(signed, noon); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

func TestVerifyVectors(t *testing.T) {
	for _, v := range readVectors[verifyVector](t, "verify.json") {
		var err error
		if v.Token != "" {
			_, err = wascap.VerifyToken(v.Token, time.Unix(v.At, 0))
		} else {
			_, err = wascap.Verify(unhex(t, v.Module), time.Unix(v.At, 0))
		}
		if got := resultOf(reasonOf(t, err)); got != v.Result {
			t.Errorf("%s: %s (%v), want %s", v.Name, got, err, v.Result)
		}
	}
}
