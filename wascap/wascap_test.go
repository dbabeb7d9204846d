package wascap_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

func TestSignVerify(t *testing.T) {
	account, module := generate(t, wascap.Account), generate(t, wascap.Module)
	want := wascap.Claims{
		Subject: pub(module), Name: `Grüße "\`, Capabilities: []string{"wascap:keyvalue", "acme:x"},
		Tags: []string{wascap.DevTag, "b", "b"}, Revision: 7, Version: "1.2.3", CallAlias: "counter", Provider: true,
		NotBefore: noon.Add(-time.Hour), Expires: noon.Add(time.Hour), WascapRevision: 3,
	}
	original := bytes.Clone(smallModule)
	signed := mustSign(t, original, want, account)
	if !bytes.Equal(original, smallModule) {
		t.Error("Sign changed its argument")
	}
	if !bytes.HasPrefix(signed, smallModule) {
		t.Error("Sign changed the module's other sections")
	}
	token, err := wascap.Verify(signed, noon)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.IssuedAt, want.Issuer = "id", noon, pub(account)
	want.Hash = token.Claims.Hash // held against the module by Verify
	if !reflect.DeepEqual(token.Claims, want) {
		t.Errorf("got  %+v\nwant %+v", token.Claims, want)
	}
	if token.Section != "jwt" || !strings.HasPrefix(token.String(), b64.EncodeToString([]byte(goodHeader))+".") {
		t.Errorf("section %q, token %s", token.Section, token)
	}
	if !token.Claims.HasTag(wascap.DevTag) || token.Claims.HasTag("waxo") || token.Claims.Kind() != wascap.Module {
		t.Error("tags or kind are wrong")
	}
	again := mustSign(t, smallModule, want, account)
	if !bytes.Equal(again, signed) {
		t.Error("the same claims, key and options give other bytes")
	}
}

func TestSignDefaults(t *testing.T) {
	account, module := generate(t, wascap.Account), generate(t, wascap.Module)
	stale := wascap.Claims{Subject: pub(module), ID: "stale", Issuer: "stale", Hash: "stale", IssuedAt: time.Unix(1, 0)}
	ids := map[string]bool{}
	for range 2 {
		before := time.Now().Truncate(time.Second)
		signed, err := wascap.Sign(smallModule, stale, account, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := wascap.Verify(signed, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c := token.Claims
		if c.IssuedAt.Before(before) || c.IssuedAt.After(time.Now()) || c.Issuer != pub(account) || len(c.ID) < 22 {
			t.Errorf("defaults: %+v", c)
		}
		ids[c.ID] = true
	}
	if len(ids) != 2 || ids["stale"] {
		t.Errorf("IDs repeat: %v", ids)
	}
}

func TestSigningAgainReplacesClaims(t *testing.T) {
	account, module := generate(t, wascap.Account), generate(t, wascap.Module)
	claims := wascap.Claims{Subject: pub(module)}
	want := mustSign(t, smallModule, claims, account)
	other := mustSign(t, smallModule, wascap.Claims{Subject: pub(module), Name: "other"}, account)
	late := embed(embed(smallModule, "wasmcloud_jwt", "x"), "jwt", "y")
	middle := append(embed(emptyModule, "jwt", "x"), smallModule[8:]...)
	for name, unsigned := range map[string][]byte{"signed": other, "two sections": late, "in the middle": middle, "twice": want} {
		if got := mustSign(t, unsigned, claims, account); !bytes.Equal(got, want) {
			t.Errorf("%s: signing differs from signing the bare module", name)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	account, operator, module := generate(t, wascap.Account), generate(t, wascap.Operator), generate(t, wascap.Module)
	wiped := generate(t, wascap.Account)
	wiped.Wipe()
	good := wascap.Claims{Subject: pub(module)}
	change := func(f func(*wascap.Claims)) wascap.Claims { c := good; f(&c); return c }
	tests := map[string]struct {
		module []byte
		claims wascap.Claims
		issuer *wascap.KeyPair
		want   string
	}{
		"no module":       {[]byte("\x7fELF"), good, account, "malformed module"},
		"cut module":      {smallModule[:len(smallModule)-1], good, account, "malformed module"},
		"no subject":      {smallModule, wascap.Claims{}, account, "set Subject"},
		"account subject": {smallModule, wascap.Claims{Subject: pub(account)}, account, "set Subject"},
		"operator issues": {smallModule, good, operator, "sign them with one of the kind account"},
		"module issues":   {smallModule, good, module, "sign them with one of the kind account"},
		"wiped key":       {smallModule, good, wiped, "wiped"},
		"signers":         {smallModule, change(func(c *wascap.Claims) { c.ValidSigners = []string{pub(account)} }), account, "valid_signers"},
		"no text":         {smallModule, change(func(c *wascap.Claims) { c.Name = "\xff" }), account, "name"},
		"control":         {smallModule, change(func(c *wascap.Claims) { c.Version = "1\x1b[2J" }), account, "ver"},
		"empty cap":       {smallModule, change(func(c *wascap.Claims) { c.Capabilities = []string{""} }), account, "caps"},
		"line in tag":     {smallModule, change(func(c *wascap.Claims) { c.Tags = []string{"a\nb"} }), account, "tags"},
		"negative rev":    {smallModule, change(func(c *wascap.Claims) { c.Revision = -1 }), account, "rev"},
		"large rev":       {smallModule, change(func(c *wascap.Claims) { c.Revision = math.MaxInt }), account, "rev"},
		"revision 4":      {smallModule, change(func(c *wascap.Claims) { c.WascapRevision = 4 }), account, "revision 4"},
		"before 1970":     {smallModule, change(func(c *wascap.Claims) { c.Expires = time.Unix(-1, 0) }), account, "exp"},
		"after 9999":      {smallModule, change(func(c *wascap.Claims) { c.NotBefore = time.Unix(253402300800, 0) }), account, "nbf"},
		"never valid": {smallModule, change(func(c *wascap.Claims) {
			c.NotBefore, c.Expires = noon, noon.Add(time.Second/2)
		}), account, "before they become valid"},
		"too large": {smallModule, change(func(c *wascap.Claims) { c.Name = strings.Repeat("x", wascap.MaxTokenSize) }), account, "more than"},
	}
	for name, test := range tests {
		_, err := wascap.Sign(test.module, test.claims, test.issuer, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "wascap: sign: ") {
			t.Errorf("%s: error is %v, want it to contain %q", name, err, test.want)
		}
	}
}

func TestVerifyTimes(t *testing.T) {
	account, module := generate(t, wascap.Account), generate(t, wascap.Module)
	hour := time.Hour
	for _, test := range []struct {
		nbf, exp time.Time
		at       time.Time
		want     wascap.Reason
	}{
		{time.Time{}, time.Time{}, time.Unix(0, 0), ""},
		{time.Time{}, time.Time{}, noon.AddDate(5000, 0, 0), ""},
		{noon, time.Time{}, noon.Add(-1), wascap.ReasonNotYetValid},
		{noon, time.Time{}, noon, ""},
		{time.Time{}, noon, noon.Add(-1), ""},
		{time.Time{}, noon, noon, wascap.ReasonExpired},
		{time.Time{}, noon, noon.In(time.FixedZone("east", 3600)), wascap.ReasonExpired},
		{noon, noon.Add(hour), noon.Add(hour - 1), ""},
		{noon, noon.Add(hour), noon.Add(hour), wascap.ReasonExpired},
		{time.Time{}, time.Unix(0, 0), noon, wascap.ReasonExpired},
	} {
		claims := wascap.Claims{Subject: pub(module), NotBefore: test.nbf, Expires: test.exp}
		token, err := wascap.Verify(mustSign(t, smallModule, claims, account), test.at)
		if got := reasonOf(t, err); got != test.want || (token == nil) != (err != nil) {
			t.Errorf("nbf %v, exp %v at %v: %q, want %q", test.nbf, test.exp, test.at, got, test.want)
		}
	}
}

func TestSentinels(t *testing.T) {
	if _, err := wascap.Verify(smallModule, noon); !errors.Is(err, wascap.ErrUnsigned) {
		t.Errorf("unsigned module: %v", err)
	}
	if _, err := wascap.Extract(smallModule); !errors.Is(err, wascap.ErrUnsigned) {
		t.Errorf("extract of an unsigned module: %v", err)
	}
	if _, err := wascap.Verify(nil, noon); !errors.Is(err, wasm.ErrMalformed) {
		t.Errorf("no module: %v", err)
	}
}

// TestSignatureHasOneForm adds the group's order to the scalar of a signature:
// the same equation holds, so a lax check would accept it.
func TestSignatureHasOneForm(t *testing.T) {
	account, module := generate(t, wascap.Account), generate(t, wascap.Module)
	signed := mustSign(t, smallModule, wascap.Claims{Subject: pub(module)}, account)
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	text := token.String()
	dot := strings.LastIndexByte(text, '.')
	signature, err := b64.DecodeString(text[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	order := [32]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for i, b := range order {
		carry += int(signature[32+i]) + int(b)
		signature[32+i] = byte(carry)
		carry >>= 8
	}
	changed := embed(smallModule, "jwt", text[:dot+1]+b64.EncodeToString(signature))
	if _, err := wascap.Verify(changed, noon); reasonOf(t, err) != wascap.ReasonSignature {
		t.Errorf("the other form of the signature: %v", err)
	}
}

func TestSignaturesOfOthers(t *testing.T) {
	account, mallory, module := generate(t, wascap.Account), generate(t, wascap.Account), generate(t, wascap.Module)
	signed := mustSign(t, smallModule, wascap.Claims{Subject: pub(module)}, account)
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := b64.DecodeString(strings.Split(token.String(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	forged := embed(smallModule, "jwt", forge(t, goodHeader, string(payload), mallory))
	if _, err := wascap.Verify(forged, noon); reasonOf(t, err) != wascap.ReasonSignature {
		t.Errorf("signed by another account: %v", err)
	}
	if err := new(wascap.Token).CheckSignature(); reasonOf(t, err) != wascap.ReasonSignature {
		t.Errorf("a token of nothing: %v", err)
	}
}

func ExampleVerify() {
	account, _ := wascap.Generate(wascap.Account)
	key, _ := wascap.Generate(wascap.Module)
	now := time.Now()

	guest := []byte("\x00asm\x01\x00\x00\x00") // stands for a compiled guest
	signed, err := wascap.Sign(guest, wascap.Claims{
		Subject:      key.PublicKey().String(),
		Name:         "counter",
		Capabilities: []string{"wascap:http_server", "wascap:keyvalue"},
		Expires:      now.Add(24 * time.Hour),
	}, account, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	token, err := wascap.Verify(signed, now)
	fmt.Println(token.Claims.Name, token.Claims.Capabilities, err)

	_, err = wascap.Verify(signed, now.AddDate(0, 0, 2))
	var refusal *wascap.VerifyError
	fmt.Println(errors.As(err, &refusal), refusal.Reason)

	_, err = wascap.Verify(guest, now)
	fmt.Println(err)
	// Output:
	// counter [wascap:http_server wascap:keyvalue] <nil>
	// true expired
	// wascap: verify: the module is not signed: sign it first
}
