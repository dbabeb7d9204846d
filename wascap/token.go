package wascap

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxTokenSize is the length in bytes beyond which a token is neither read nor
// written. Tokens of real modules have 600 to 1,000.
const MaxTokenSize = 64 << 10

// header is what the original tools write, byte by byte.
const header = `{"typ":"jwt","alg":"Ed25519"}`

var segmentEncoding = base64.RawURLEncoding

// Token is claims as they were signed.
type Token struct {
	Claims  Claims
	Section string // name of the custom section that held it; "" for a token of its own

	text      string
	issuer    PublicKey
	signature []byte
}

// String gives the token's text, header.payload.signature, as it was read.
func (t *Token) String() string { return t.text }

// ParseToken reads a token without believing it: it checks everything but the
// signature and the time. Every error is a *VerifyError, wrapped.
func ParseToken(text string) (*Token, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, fmt.Errorf("wascap: parse token: %w", err)
	}
	return t, nil
}

func parseToken(text string) (*Token, error) {
	if len(text) > MaxTokenSize {
		return nil, refuse(ReasonTooLarge, "the token has %d bytes, more than the %d allowed", len(text), MaxTokenSize)
	}
	segments := strings.Split(text, ".")
	if len(segments) != 3 {
		return nil, refuse(ReasonMalformed, "the token has %d parts instead of header, payload and signature", len(segments))
	}
	var decoded [3][]byte
	for i, name := range []string{"header", "payload", "signature"} {
		var err error
		if decoded[i], err = decodeSegment(segments[i]); err != nil {
			return nil, refuse(ReasonMalformed, "the token's %s is not base64url without padding in its only form", name)
		}
	}
	if err := checkHeader(decoded[0]); err != nil {
		return nil, err
	}
	claims, err := parseClaims(decoded[1])
	if err != nil {
		return nil, err
	}
	issuer, err := ParsePublicKey(claims.Issuer)
	if err != nil {
		return nil, refuse(ReasonMalformed, "the claim iss: %w", err)
	}
	return &Token{Claims: *claims, text: text, issuer: issuer, signature: decoded[2]}, nil
}

// decodeSegment refuses whatever encoding again does not give back: padding,
// bits after the last byte, and the line breaks that package base64 skips.
func decodeSegment(segment string) ([]byte, error) {
	decoded, err := segmentEncoding.DecodeString(segment)
	if err == nil && !bytes.Equal(segmentEncoding.AppendEncode(nil, decoded), []byte(segment)) {
		err = errors.New("not canonical")
	}
	return decoded, err
}

// checkHeader accepts an object with typ and alg and nothing else.
func checkHeader(text []byte) error {
	members, err := parseObject(text)
	if err != nil {
		return refuse(ReasonMalformed, "the token's header: %w", err)
	}
	var typ, alg string
	for _, m := range members {
		switch m.key {
		case "typ":
			err = m.value.string(&typ)
		case "alg":
			err = m.value.string(&alg)
		default:
			err = errors.New("is not known")
		}
		if err != nil {
			return refuse(ReasonMalformed, "the key %q in the token's header %w", m.key, err)
		}
	}
	if typ != "jwt" {
		return refuse(ReasonUnsupported, "the token is of type %q instead of %q", typ, "jwt")
	}
	if alg != "Ed25519" {
		return refuse(ReasonUnsupported, "the token is signed with %q instead of %q", alg, "Ed25519")
	}
	return nil
}

// CheckSignature checks that the issuer's key signed the token, and nothing
// else: not the times, not the module. Whoever wants to know whether a module
// may be used calls Verify.
func (t *Token) CheckSignature() error {
	if err := t.checkSignature(); err != nil {
		return fmt.Errorf("wascap: check signature: %w", err)
	}
	return nil
}

func (t *Token) checkSignature() error {
	signed := t.text[:max(strings.LastIndexByte(t.text, '.'), 0)]
	if !t.issuer.Verify([]byte(signed), t.signature) {
		return refuse(ReasonSignature, "the signature was not made by the issuer %s: the claims were changed, or damaged on the way", t.issuer)
	}
	return nil
}

// checkTime accepts nbf <= at < exp.
func (t *Token) checkTime(at time.Time) error {
	c := &t.Claims
	if !c.NotBefore.IsZero() && at.Before(c.NotBefore) {
		return refuse(ReasonNotYetValid, "the claims are valid from %s on: wait, check the clock, or sign again",
			c.NotBefore.UTC().Format(time.RFC3339))
	}
	if !c.Expires.IsZero() && !at.Before(c.Expires) {
		return refuse(ReasonExpired, "the claims expired at %s: sign again", c.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// VerifyToken decides whether the claims of an account or an operator hold at
// the given time, by the rules of Verify. It does not decide whether their
// issuer is to be trusted. It refuses the claims of a module or a provider, which
// mean nothing without its file. Every error is a *VerifyError, wrapped.
func VerifyToken(text string, at time.Time) (*Token, error) {
	t, err := parseToken(text)
	if err == nil && (t.Claims.Kind() == Module || t.Claims.Kind() == Service) {
		err = refuse(ReasonKeyKind, "claims of the kind %s are verified together with the file that they are about", t.Claims.Kind())
	}
	if err == nil {
		err = t.checkSignature()
	}
	if err == nil {
		err = t.checkTime(at)
	}
	if err != nil {
		return nil, fmt.Errorf("wascap: verify token: %w", err)
	}
	return t, nil
}

// SignOptions make a signature repeatable: the same claims, key and options
// give the same bytes. The nil pointer stands for the defaults.
type SignOptions struct {
	IssuedAt time.Time // iat, cut to whole seconds; default the system's time
	ID       string    // jti; default 26 random characters
}

// SignToken signs the claims of a provider, an account or an operator. ID, IssuedAt and
// Issuer of the claims are ignored in favour of the options and the issuer's
// key.
func SignToken(claims Claims, issuer *KeyPair, opts *SignOptions) (string, error) {
	var text string
	err := errors.New("claims of a module are signed together with the module: call Sign")
	if claims.Kind() != Module {
		text, err = signClaims(claims, issuer, opts)
	}
	if err != nil {
		return "", fmt.Errorf("wascap: sign token: %w", err)
	}
	return text, nil
}

func signClaims(c Claims, issuer *KeyPair, opts *SignOptions) (string, error) {
	if opts == nil {
		opts = &SignOptions{}
	}
	c.ID, c.IssuedAt, c.Issuer = opts.ID, opts.IssuedAt, issuer.PublicKey().String()
	if c.ID == "" {
		c.ID = rand.Text()
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = time.Now()
	}
	if err := c.check(); err != nil {
		return "", err
	}
	if !c.NotBefore.IsZero() && !c.Expires.IsZero() && c.Expires.Unix() <= c.NotBefore.Unix() {
		return "", errors.New("the claims expire before they become valid: move exp or nbf")
	}
	signed := segmentEncoding.AppendEncode(nil, []byte(header))
	signed = segmentEncoding.AppendEncode(append(signed, '.'), c.encode())
	signature, err := issuer.Sign(signed)
	if err != nil {
		return "", err
	}
	text := segmentEncoding.AppendEncode(append(signed, '.'), signature)
	if len(text) > MaxTokenSize {
		return "", refuse(ReasonTooLarge, "the token would have %d bytes, more than the %d allowed", len(text), MaxTokenSize)
	}
	return string(text), nil
}
