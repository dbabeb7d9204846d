// Package wascap makes and checks the claims that a WebAssembly module carries:
// who signed it, which module it is, and which capabilities it was granted.
//
// The claims are a JWT in a custom section at the end of the module, signed
// with Ed25519 by an account's key. They hold a SHA-256 of the rest of the
// module, so a signed module cannot be changed by a single byte. Sign makes
// them, Extract reads them, and Verify alone decides whether they hold.
//
// # What is promised
//
// For a module that Verify accepts: the key Claims.Issuer signed exactly these
// claims; every byte of the module outside the claims section is the one that
// was signed; and no byte of the claims section can be changed, added or taken
// away without Verify refusing it. The one thing about the file that is free is
// which of its two names, jwt or wasmcloud_jwt, the section has: the format
// signs neither.
//
// To hold this against readers that disagree, the formats are read strictly:
// one claims section, the last of the module, with lengths in their shortest
// form; base64url without padding or spare bits; JSON without repeated keys,
// compared by case, in valid UTF-8; whole numbers for times; keys of the right
// kinds in their only text form; a header of typ and alg alone.
//
// Unknown keys in the payload are let pass, because the format grew by some
// every year (rev, ver, call_alias, wascap_revision) and a module of tomorrow
// should load today. Exceptions are keys that differ from a known one by case
// alone, the restriction aud, and revisions of the claims other than 2 and 3.
//
// # Providers
//
// A provider in a file of its own has its claims in a token beside the file,
// which holds a SHA-256 of the file for each platform: SignToken makes it,
// VerifyProvider decides whether it holds.
//
// # What is left out
//
// Whether an issuer is to be trusted is for the caller to decide. There is no
// revocation, no allowance for clocks that differ, and nothing about files: keys
// and modules are bytes here. Texts in claims are free of control characters,
// but not of letters that look alike.
package wascap

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// The names of the claims section: that of 2019 to 2021, which Sign writes, and
// that of 2022 on.
const (
	sectionName      = "jwt"
	sectionNameLater = "wasmcloud_jwt"
)

func isClaims(s wasm.Section) bool {
	return s.ID == 0 && (s.Name == sectionName || s.Name == sectionNameLater)
}

// Sign returns a copy of the module that carries the claims, signed by the
// issuer, an account, in its last section. Claims sections that the module
// already has are dropped. Of the claims, Subject (the module's key) must be
// set; ID, IssuedAt, Issuer and Hash are ignored in favour of the options, the
// issuer's key and the module.
func Sign(module []byte, claims Claims, issuer *KeyPair, opts *SignOptions) ([]byte, error) {
	signed, err := sign(module, claims, issuer, opts)
	if err != nil {
		return nil, fmt.Errorf("wascap: sign: %w", err)
	}
	return signed, nil
}

func sign(module []byte, claims Claims, issuer *KeyPair, opts *SignOptions) ([]byte, error) {
	sections, err := wasm.Sections(module)
	if err != nil {
		return nil, err
	}
	if k := claims.Kind(); k != Module {
		return nil, refuse(ReasonKeyKind, "the claims name no module: set Subject to the public key of one")
	}
	out := append(make([]byte, 0, len(module)+1024), module[:len(wasm.Magic)]...)
	for _, s := range sections {
		if !isClaims(s) {
			out = append(out, module[s.Start:s.End]...)
		}
	}
	claims.Hash = hash(out)
	token, err := signClaims(claims, issuer, opts)
	if err != nil {
		return nil, err
	}
	return appendSection(out, sectionName, []byte(token)), nil
}

// Extract reads the claims of a module without believing them: it checks
// everything but the signature, the hash and the time. Every error is a
// *VerifyError, wrapped; a module without claims gives ErrUnsigned.
func Extract(module []byte) (*Token, error) {
	t, _, err := extract(module)
	if err != nil {
		return nil, fmt.Errorf("wascap: extract: %w", err)
	}
	return t, nil
}

// extract also gives the part of the module that the hash covers.
func extract(module []byte) (*Token, []byte, error) {
	sections, err := wasm.Sections(module)
	if err != nil {
		return nil, nil, refuse(ReasonNotModule, "%w", err)
	}
	var claims wasm.Section
	count := 0
	for _, s := range sections {
		if isClaims(s) {
			claims = s
			count++
		}
	}
	switch {
	case count == 0:
		return nil, nil, refuse(ReasonUnsigned, "%w", ErrUnsigned)
	case count > 1:
		return nil, nil, refuse(ReasonDuplicateSection, "the module has %d claims sections instead of one: sign it again", count)
	case claims.End != len(module):
		return nil, nil, refuse(ReasonMisplacedSection, "the claims section is not the last of the module: sign it again")
	}
	if !bytes.Equal(module[claims.Start:], appendSection(nil, claims.Name, claims.Content)) {
		return nil, nil, refuse(ReasonSectionEncoding, "a length in the claims section's head is not in its shortest form: sign the module again")
	}
	t, err := parseToken(string(claims.Content))
	if err != nil {
		return nil, nil, err
	}
	if k := t.Claims.Kind(); k != Module {
		return nil, nil, refuse(ReasonKeyKind, "the module carries claims of the kind %s: sign it again", k)
	}
	t.Section = claims.Name
	return t, module[:claims.Start], nil
}

// Verify decides whether a module's claims hold at the given time: it is signed
// by the issuer that its claims name, it is the module that was signed, and
// nbf <= at < exp. It does not decide whether that issuer is to be trusted.
// Every error is a *VerifyError, wrapped.
func Verify(module []byte, at time.Time) (*Token, error) {
	t, err := verify(module, at)
	if err != nil {
		return nil, fmt.Errorf("wascap: verify: %w", err)
	}
	return t, nil
}

func verify(module []byte, at time.Time) (*Token, error) {
	t, covered, err := extract(module)
	if err != nil {
		return nil, err
	}
	if err := t.checkSignature(); err != nil {
		return nil, err
	}
	if hash(covered) != t.Claims.Hash {
		return nil, refuse(ReasonHash, "the module was changed after it was signed: sign it again, or get it anew")
	}
	return t, t.checkTime(at)
}

// hash is the claim of that name: upper-case hex.
func hash(module []byte) string { return fmt.Sprintf("%X", sha256.Sum256(module)) }

// appendSection appends a custom section, its lengths in their shortest form.
func appendSection(b []byte, name string, content []byte) []byte {
	head := append(wasm.AppendUint32(nil, uint32(len(name))), name...)
	b = append(b, 0)
	b = wasm.AppendUint32(b, uint32(len(head)+len(content)))
	return append(append(b, head...), content...)
}
