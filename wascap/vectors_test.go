package wascap_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/vectors"
	"github.com/waxosuit/waxo/wascap"
)

// The vectors are for implementations in any language; the README beside them says
// what the fields mean.

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readVectors[V any](t *testing.T, file string) []V {
	t.Helper()
	list, err := vectors.Load[V](file)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func timeOf(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}

func secondsOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}

// claimsOf is what a vector says of claims that were read.
func claimsOf(c wascap.Claims) *vectors.Claims {
	form := map[wascap.Form]string{wascap.Nested: "nested", wascap.Flat: "flat"}[c.Form]
	return &vectors.Claims{
		Form: form, ID: c.ID, Issuer: c.Issuer, Subject: c.Subject, IssuedAt: c.IssuedAt.Unix(), NotBefore: secondsOf(c.NotBefore),
		Expires: secondsOf(c.Expires), Name: c.Name, Hash: c.Hash, Capabilities: c.Capabilities, Tags: c.Tags, Revision: c.Revision,
		Version: c.Version, CallAlias: c.CallAlias, Provider: c.Provider, CapabilityID: c.CapabilityID, Vendor: c.Vendor,
		TargetHashes: c.TargetHashes, ValidSigners: c.ValidSigners, Format: c.WascapRevision,
	}
}

func TestKeyVectors(t *testing.T) {
	for _, v := range readVectors[vectors.Key](t, vectors.KeysFile) {
		kind, err := wascap.KindOf(v.Text)
		switch {
		case v.Result == vectors.ResultInvalid:
			if err == nil {
				t.Errorf("%s: accepted", v.Name)
			}
		case v.Result != vectors.ResultOK:
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
	for _, v := range readVectors[vectors.Sign](t, vectors.SignFile) {
		issuer, err := wascap.FromSeed([]byte(v.Seed))
		if err != nil {
			t.Fatal(err)
		}
		c := wascap.Claims{
			Subject: v.Claims.Subject, NotBefore: timeOf(v.Claims.NotBefore), Expires: timeOf(v.Claims.Expires), Name: v.Claims.Name,
			Capabilities: v.Claims.Capabilities, Tags: v.Claims.Tags, Revision: v.Claims.Revision, Version: v.Claims.Version,
			CallAlias: v.Claims.CallAlias, Provider: v.Claims.Provider,
		}
		signed, err := wascap.Sign(unhex(t, v.Module), c, issuer, &wascap.SignOptions{IssuedAt: timeOf(&v.Claims.IssuedAt), ID: v.Claims.ID})
		if err != nil {
			t.Fatal(err)
		}
		token, err := wascap.Verify(signed, noon)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := b64.DecodeString(strings.Split(token.String(), ".")[1])
		if err != nil || string(payload) != v.Payload || !bytes.Equal(signed, unhex(t, v.Signed)) {
			t.Errorf("%s: signing gives payload %s, want %s", v.Name, payload, v.Payload)
		}
	}
}

func verifyVector(t *testing.T, v vectors.Verify) (*wascap.Token, error) {
	at := time.Unix(v.At, 0)
	switch {
	case v.Target != "":
		return wascap.VerifyProvider(v.Token, v.Target, sha256.Sum256(unhex(t, v.File)), at)
	case v.Token != "":
		return wascap.VerifyToken(v.Token, at)
	}
	return wascap.Verify(unhex(t, v.Module), at)
}

func TestVerifyVectors(t *testing.T) {
	for _, v := range readVectors[vectors.Verify](t, vectors.VerifyFile) {
		token, err := verifyVector(t, v)
		got := string(reasonOf(t, err))
		if got == "" {
			got = vectors.ResultOK
		}
		if got != v.Result {
			t.Errorf("%s: %s (%v), want %s", v.Name, got, err, v.Result)
		}
		if (v.Claims != nil) != (v.Result == vectors.ResultOK) {
			t.Errorf("%s: result %s with the claims %v", v.Name, v.Result, v.Claims)
		} else if v.Claims != nil && err == nil && !reflect.DeepEqual(claimsOf(token.Claims), v.Claims) {
			t.Errorf("%s: read %+v, want %+v", v.Name, claimsOf(token.Claims), v.Claims)
		}
	}
}

func TestRealVectors(t *testing.T) {
	for _, v := range readVectors[vectors.Real](t, vectors.RealFile) {
		token, err := wascap.ParseToken(v.Token)
		if err == nil {
			err = token.CheckSignature()
		}
		if err != nil || !reflect.DeepEqual(claimsOf(token.Claims), &v.Claims) {
			t.Errorf("%s: %+v, %v", v.Name, token, err)
		}
	}
}
