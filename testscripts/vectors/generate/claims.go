package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// noon is 2026-03-01T12:00:00Z, the time at which most vectors sign and verify.
const noon = 1772366400

const goodHeader = `{"typ":"jwt","alg":"Ed25519"}`

// emptyModule is a module without a section; smallModule has a type section with
// one function type, and a custom section.
var (
	emptyModule = []byte("\x00asm\x01\x00\x00\x00")
	smallModule = append([]byte("\x00asm\x01\x00\x00\x00"), 1, 4, 1, 0x60, 0, 0, 0, 5, 1, 'x', 1, 2, 3)
)

var (
	account, stranger = newKey('A', "a"), newKey('A', "b")
	operator          = newKey('O', "o")
	other             = newKey('O', "p")
	module, server    = newKey('M', "m"), newKey('N', "n")
	service           = newKey('V', "v")
)

// providerFile is the file of the providers in the vectors, linux its platform.
const (
	providerFile = "a file"
	linux        = "x86_64-linux"
)

// placeholders are those of the texts in the tables: keys, the hash of
// emptyModule, and that of providerFile.
var placeholders = strings.NewReplacer(
	"$A", account.public(), "$B", stranger.public(), "$O", operator.public(), "$P", other.public(),
	"$M", module.public(), "$N", server.public(), "$V", service.public(),
	"$H", sum(emptyModule), "$F", sum([]byte(providerFile)), "$f", strings.ToLower(sum([]byte(providerFile))),
)

func sum(b []byte) string { return fmt.Sprintf("%X", sha256.Sum256(b)) }

// sign makes a token of any header and payload.
func sign(header, payload string, issuer key) string {
	text := base64url(header) + "." + base64url(payload)
	return text + "." + base64url(string(ed25519.Sign(issuer.secret, []byte(text))))
}

func base64url(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// embed appends a custom section to a module.
func embed(module []byte, name, content string) []byte {
	body := string(leb(len(name))) + name + content
	return append(append(append([]byte{}, module...), 0), append(leb(len(body)), body...)...)
}

// leb is an unsigned LEB128 in its shortest form.
func leb(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// claims makes the vectors of claims/*.json, and notes what went wrong.
type claims struct{ err error }

// read is a token's payload as vectors say it.
func (c *claims) read(payload string) *vectors.Claims {
	claims, err := readClaims(payload)
	c.err = errors.Join(c.err, err)
	return claims
}

// tokenPayload is a payload of either form, for what is known to be good.
type tokenPayload struct {
	ID       string         `json:"jti"`
	IssuedAt int64          `json:"iat"`
	Issuer   string         `json:"iss"`
	Subject  string         `json:"sub"`
	Before   *int64         `json:"nbf"`
	Expires  *int64         `json:"exp"`
	Format   int            `json:"wascap_revision"`
	Wascap   *wascapPayload `json:"wascap"`
	wascapPayload
}

type wascapPayload struct {
	Name      string            `json:"name"`
	Hash      string            `json:"hash"`
	Tags      []string          `json:"tags"`
	Caps      []string          `json:"caps"`
	Rev       int               `json:"rev"`
	Ver       string            `json:"ver"`
	CallAlias string            `json:"call_alias"`
	Prov      bool              `json:"prov"`
	CapID     string            `json:"capid"`
	Vendor    string            `json:"vendor"`
	Hashes    map[string]string `json:"target_hashes"`
	Signers   []string          `json:"valid_signers"`
}

func readClaims(payload string) (*vectors.Claims, error) {
	var p tokenPayload
	if err := json.Unmarshal([]byte(payload), &p); err != nil {
		return nil, fmt.Errorf("%s: %w", payload, err)
	}
	w, form := p.Wascap, "nested"
	if w == nil {
		w, form = &p.wascapPayload, "flat"
	}
	if w.CapID != "" {
		w.Signers = nil // a provider has none: the member is one that nobody knows
	}
	return &vectors.Claims{
		Form: form, ID: p.ID, Issuer: p.Issuer, Subject: p.Subject, IssuedAt: p.IssuedAt, NotBefore: p.Before, Expires: p.Expires,
		Name: w.Name, Hash: w.Hash, Capabilities: w.Caps, Tags: w.Tags, Revision: w.Rev, Version: w.Ver, CallAlias: w.CallAlias,
		Provider: w.Prov, CapabilityID: w.CapID, Vendor: w.Vendor, TargetHashes: w.Hashes, ValidSigners: w.Signers, Format: p.Format,
	}, nil
}

// realVectors are tokens that the original tools made. Each line of the file has
// the module's name, the section's and the token.
func realVectors(file string) ([]vectors.Real, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []vectors.Real
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, fmt.Errorf("%s: %q is no line of it", file, line)
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(words[2], ".")[1])
		if err != nil {
			return nil, err
		}
		claims, err := readClaims(string(payload))
		if err != nil {
			return nil, err
		}
		list = append(list, vectors.Real{Vector: vector(words[0], "CLM-18 CLM-20 CLM-32 CLM-54"), Section: words[1], Token: words[2], Claims: *claims})
	}
	return list, nil
}

// signVectors say to the byte what signing makes. The payloads are written by
// hand: members in this order, without white space.
func (c *claims) signVectors() []vectors.Sign {
	const ids = `"iat":1772366400,"iss":"$A","sub":"$M"`
	resigned := embed(embed(smallModule, "wasmcloud_jwt", "old"), "jwt", "older")
	list := []struct {
		name, rules, payload string
		module, bare         []byte
	}{
		{"least", "CLM-10 CLM-11 CLM-30 CLM-34 CLM-50 CLM-52 CLM-53 CLM-65",
			`{"jti":"1",` + ids + `,"wascap":{"hash":"$hash","tags":[],"caps":[],"prov":false}}`, emptyModule, emptyModule},
		{"all claims", "CLM-30 CLM-34 CLM-52 CLM-53 CLM-65", `{"exp":1772452800,"jti":"2",` + ids + `,"nbf":1772366400,"wascap":{` +
			`"name":"Zähler \"1\" \\ <&>` + "\u2028\U0001f600" + `","hash":"$hash","tags":["waxo:dev","b"],"caps":["wascap:keyvalue","wascap:http_server"],` +
			`"rev":3,"ver":"0.1.0","call_alias":"acme/counter","prov":true}}`, smallModule, smallModule},
		{"claims replaced", "CLM-50 CLM-51 CLM-52 CLM-53",
			`{"jti":"3",` + ids + `,"wascap":{"name":"new","hash":"$hash","tags":[],"caps":[],"prov":false}}`, resigned, smallModule},
	}
	var signed []vectors.Sign
	for _, v := range list {
		payload := placeholders.Replace(strings.ReplaceAll(v.payload, "$hash", sum(v.bare)))
		claims := c.read(payload)
		claims.Form, claims.Issuer, claims.Hash = "", "", ""
		signed = append(signed, vectors.Sign{
			Vector: vector(v.name, v.rules), Seed: account.seed(), Claims: *claims, Module: hex.EncodeToString(v.module), Payload: payload,
			Signed: hex.EncodeToString(embed(v.bare, "jwt", sign(goodHeader, payload, account))),
		})
	}
	return signed
}
