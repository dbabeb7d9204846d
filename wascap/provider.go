package wascap

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"time"
)

// Target names a platform as target_hashes does: the architecture and the
// system in the words of the original tools, such as "x86_64-linux". The
// arguments are Go's GOOS and GOARCH; a name without another word stays as it
// is.
func Target(goos, goarch string) string {
	arch := map[string]string{"386": "x86", "amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64"}[goarch]
	system := map[string]string{"darwin": "macos"}[goos]
	return cmp.Or(arch, goarch) + "-" + cmp.Or(system, goos)
}

// VerifyProvider decides whether a token is a provider's claims that hold at the
// given time and name the file with this SHA-256 as the provider for the
// target: an account signed them, the hash is the one in the claims, and nbf <=
// at < exp. It does not decide whether that account is to be trusted. Every
// error is a *VerifyError, wrapped.
func VerifyProvider(text, target string, file [sha256.Size]byte, at time.Time) (*Token, error) {
	t, err := verifyProvider(text, target, file, at)
	if err != nil {
		return nil, fmt.Errorf("wascap: verify provider: %w", err)
	}
	return t, nil
}

func verifyProvider(text, target string, file [sha256.Size]byte, at time.Time) (*Token, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	if k := t.Claims.Kind(); k != Service {
		return nil, refuse(ReasonKeyKind, "the claims are of the kind %s instead of a provider's", k)
	}
	if err := t.checkSignature(); err != nil {
		return nil, err
	}
	want, ok := t.Claims.TargetHashes[target]
	if !ok {
		return nil, refuse(ReasonHash, "the claims name no file for %s: get the provider for this platform, or sign it for it", target)
	}
	if fmt.Sprintf("%X", file) != want {
		return nil, refuse(ReasonHash, "the file was changed after it was signed: sign it again, or get it anew")
	}
	return t, t.checkTime(at)
}
