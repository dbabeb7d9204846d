package wascap_test

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wascap"
)

const linux = "x86_64-linux"

func fileHash(content string) ([sha256.Size]byte, string) {
	sum := sha256.Sum256([]byte(content))
	return sum, fmt.Sprintf("%X", sum)
}

func TestTarget(t *testing.T) {
	for _, c := range [][3]string{
		{"linux", "amd64", "x86_64-linux"}, {"darwin", "arm64", "aarch64-macos"}, {"windows", "386", "x86-windows"},
		{"linux", "arm", "arm-linux"}, {"freebsd", "riscv64", "riscv64-freebsd"},
	} {
		if got := wascap.Target(c[0], c[1]); got != c[2] {
			t.Errorf("%s/%s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestVerifyProvider(t *testing.T) {
	account, key := generate(t, wascap.Account), generate(t, wascap.Service)
	file, hash := fileHash("a file")
	_, other := fileHash("the one for another system")
	want := wascap.Claims{
		Subject: pub(key), Name: "Redis", CapabilityID: "wascap:keyvalue", Vendor: "Acme", Version: "1.2.3", Revision: 4,
		TargetHashes: map[string]string{linux: hash, "aarch64-macos": other},
		NotBefore:    noon, Expires: noon.Add(time.Hour),
	}
	opts := &wascap.SignOptions{IssuedAt: noon, ID: "id"}
	text, err := wascap.SignToken(want, account, opts)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := wascap.SignToken(want, account, opts); again != text {
		t.Error("the same claims, key and options give another token")
	}
	token, err := wascap.VerifyProvider(text, linux, file, noon)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.IssuedAt, want.Issuer = "id", noon, pub(account)
	if !reflect.DeepEqual(token.Claims, want) || token.Claims.Kind() != wascap.Service {
		t.Errorf("got %+v\nwant %+v", token.Claims, want)
	}
	for i := range text {
		for _, c := range "A.=_-b" {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				if _, err := wascap.VerifyProvider(changed, linux, file, noon); err == nil {
					t.Errorf("accepted with byte %d changed to %c", i, c)
				}
			}
		}
	}
	flipped := file
	flipped[31] ^= 1
	for name, c := range map[string]struct {
		target string
		file   [sha256.Size]byte
		at     time.Time
		want   wascap.Reason
	}{
		"another file":             {linux, flipped, noon, wascap.ReasonHash},
		"the file of another":      {"aarch64-macos", file, noon, wascap.ReasonHash},
		"a platform without one":   {"aarch64-linux", file, noon, wascap.ReasonHash},
		"before it becomes valid":  {linux, file, noon.Add(-time.Second), wascap.ReasonNotYetValid},
		"in the second it expires": {linux, file, noon.Add(time.Hour), wascap.ReasonExpired},
	} {
		if _, err := wascap.VerifyProvider(text, c.target, c.file, c.at); reasonOf(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := wascap.VerifyToken(text, noon); reasonOf(t, err) != wascap.ReasonKeyKind {
		t.Errorf("a provider's token without its file: %v", err)
	}
}

func TestProviderClaimsStayApart(t *testing.T) {
	account, operator := generate(t, wascap.Account), generate(t, wascap.Operator)
	_, hash := fileHash("a file")
	hashes := map[string]string{linux: hash}
	service := wascap.Claims{Subject: pub(generate(t, wascap.Service)), CapabilityID: "a:b", Vendor: "v", TargetHashes: hashes}
	with := func(change func(*wascap.Claims)) wascap.Claims { c := service; change(&c); return c }
	for name, c := range map[string]wascap.Claims{
		"tags":         with(func(c *wascap.Claims) { c.Tags = []string{"t"} }),
		"capabilities": with(func(c *wascap.Claims) { c.Capabilities = []string{"a:b"} }),
		"hash":         with(func(c *wascap.Claims) { c.Hash = hash }),
		"signers":      with(func(c *wascap.Claims) { c.ValidSigners = []string{pub(account)} }),
	} {
		if _, err := wascap.SignToken(c, account, nil); err == nil {
			t.Errorf("a provider with %s was signed", name)
		}
	}
	if _, err := wascap.SignToken(wascap.Claims{Subject: pub(account), Vendor: "v"}, operator, nil); err == nil {
		t.Error("an account with a vendor was signed")
	}
	module := wascap.Claims{Subject: pub(generate(t, wascap.Module)), CapabilityID: "a:b"}
	if _, err := wascap.Sign(emptyModule, module, account, nil); err == nil {
		t.Error("a module with a provider's capability was signed")
	}
}
