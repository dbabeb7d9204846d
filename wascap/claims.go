package wascap

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DevTag marks modules that were signed with throwaway keys while they were
// being written. A production host refuses it.
const DevTag = "waxo:dev"

// Form is how the claims were laid out in the token that they were read from.
type Form uint8

const (
	// Nested is the form of 2020 on, which this package writes: what concerns
	// the module stands in an object "wascap".
	Nested Form = iota
	// Flat is the form of 2019: hash, tags and caps stand beside iss and sub.
	Flat
)

// Claims are what an issuer states about a subject. The kind of the subject's
// key decides which claims they are: a module's, a provider's, an account's or
// an operator's.
//
// Times are whole seconds from 1970 to 9999, in UTC when they were read; the
// zero time stands for a claim that is absent. Texts hold no control
// characters.
type Claims struct {
	ID        string    // jti: unique for each token
	Issuer    string    // iss: public key of the account that signs a module or provider, or of the operator that vouches
	Subject   string    // sub: public key of the module, provider, account or operator
	IssuedAt  time.Time // iat
	NotBefore time.Time // nbf: valid from this second on
	Expires   time.Time // exp: no longer valid from this second on

	Name           string // for people
	WascapRevision int    // wascap_revision: 2, 3 or absent (0)
	Form           Form   // as it was read; Sign always writes Nested

	// Of modules.

	Hash         string   // SHA-256 of the module without its claims section, upper-case hex
	Capabilities []string // caps: what the module is granted, in the order of the token
	Tags         []string // tags: free texts, in the order of the token
	Revision     int      // rev: grows with each release; absent = 0; of providers, too
	Version      string   // ver: for people; of providers, too
	CallAlias    string   // call_alias: a name that other modules may call it by
	Provider     bool     // prov: the module is itself a capability provider

	// Of providers in files of their own.

	CapabilityID string            // capid: the one capability that it offers
	Vendor       string            // vendor: who made it, for people
	TargetHashes map[string]string // target_hashes: by Target, SHA-256 of the provider's file, upper-case hex

	// Of accounts and operators.

	ValidSigners []string // valid_signers: further public keys that may sign for the subject
}

// Kind tells what the claims are about: Module, Service (a provider), Account or
// Operator; 0 if the subject is no valid key.
func (c *Claims) Kind() Kind {
	p, err := ParsePublicKey(c.Subject)
	if err != nil {
		return 0
	}
	return p.kind
}

// HasTag tells whether the tag is among the claims' tags.
func (c *Claims) HasTag(tag string) bool { return slices.Contains(c.Tags, tag) }

// maxTime is the last second of the year 9999, and thereby well within what
// every reader of a token can hold.
const maxTime = 253402300799

// maxRevision is what the original's 32-bit integers hold.
const maxRevision = 1<<31 - 1

// check holds the claims against every rule that does not depend on the module
// or on the time. Reading and signing share it, so what is signed can be read.
func (c *Claims) check() error {
	if err := c.checkKeys(); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{"jti", c.ID}, {"name", c.Name}, {"ver", c.Version}, {"call_alias", c.CallAlias},
		{"capid", c.CapabilityID}, {"vendor", c.Vendor},
	} {
		if !isText(f.text) {
			return refuse(ReasonMalformed, "the claim %s holds control characters or is not UTF-8", f.name)
		}
	}
	for _, f := range []struct {
		name string
		list []string
	}{{"caps", c.Capabilities}, {"tags", c.Tags}} {
		if slices.Contains(f.list, "") || slices.ContainsFunc(f.list, func(s string) bool { return !isText(s) }) {
			return refuse(ReasonMalformed, "the claim %s holds an empty text or one with control characters", f.name)
		}
	}
	for _, f := range []struct {
		name string
		time time.Time
	}{{"iat", c.IssuedAt}, {"nbf", c.NotBefore}, {"exp", c.Expires}} {
		if s := f.time.Unix(); !f.time.IsZero() && (s < 0 || s > maxTime) {
			return refuse(ReasonMalformed, "the claim %s lies outside the years 1970 to 9999", f.name)
		}
	}
	if c.Revision < 0 || c.Revision > maxRevision {
		return refuse(ReasonMalformed, "the claim rev is %d, which is outside 0 to %d", c.Revision, maxRevision)
	}
	if r := c.WascapRevision; r != 0 && r != 2 && r != 3 {
		return refuse(ReasonUnsupported, "the claims are of revision %d; known are 2 and 3: update this program", r)
	}
	return c.checkKind()
}

// checkKeys checks that iss, sub and valid_signers are keys of the kinds that
// may stand there.
func (c *Claims) checkKeys() error {
	sub, err := ParsePublicKey(c.Subject)
	if err != nil {
		return refuse(ReasonMalformed, "the claim sub: %w", err)
	}
	var issuer, signers Kind
	switch sub.kind {
	case Module, Service:
		issuer = Account
	case Account:
		issuer, signers = Operator, Account
	case Operator:
		issuer, signers = Operator, Operator
	default:
		return refuse(ReasonKeyKind, "the claim sub is the key of a %s instead of a module, a service, an account or an operator", sub.kind)
	}
	iss, err := ParsePublicKey(c.Issuer)
	if err != nil {
		return refuse(ReasonMalformed, "the claim iss: %w", err)
	}
	if iss.kind != issuer {
		return refuse(ReasonKeyKind, "claims of the kind %s were issued by a key of the kind %s: sign them with one of the kind %s",
			sub.kind, iss.kind, issuer)
	}
	for _, text := range c.ValidSigners {
		key, err := ParsePublicKey(text)
		if err != nil {
			return refuse(ReasonMalformed, "the claim valid_signers: %w", err)
		}
		if key.kind != signers {
			return refuse(ReasonKeyKind, "the claim valid_signers of the kind %s holds a key of the kind %s", sub.kind, key.kind)
		}
	}
	return nil
}

// checkKind checks that the claims hold what their kind needs, and nothing that
// belongs to another.
func (c *Claims) checkKind() error {
	kind := c.Kind()
	if kind != Service && (c.CapabilityID != "" || c.Vendor != "" || c.TargetHashes != nil) {
		return refuse(ReasonMalformed, "claims of the kind %s hold what belongs to a provider", kind)
	}
	if kind != Module && (c.Hash != "" || c.Capabilities != nil || c.Tags != nil || c.CallAlias != "" || c.Provider) ||
		kind != Module && kind != Service && (c.Revision != 0 || c.Version != "") {
		return refuse(ReasonMalformed, "claims of the kind %s hold what belongs to a module", kind)
	}
	switch { // checkKeys lets signers pass with accounts and operators alone
	case kind == Module && !isHash(c.Hash):
		return refuse(ReasonMalformed, "the claim hash is not a SHA-256 in upper-case hex")
	case kind == Service:
		return c.checkProvider()
	}
	return nil
}

func (c *Claims) checkProvider() error {
	if c.CapabilityID == "" || c.Vendor == "" {
		return refuse(ReasonMalformed, "a provider's claims need capid and vendor: what it offers, and who made it")
	}
	if len(c.TargetHashes) == 0 {
		return refuse(ReasonMalformed, "the claim target_hashes names no file")
	}
	for target, hash := range c.TargetHashes {
		if target == "" || !isText(target) || !isHash(hash) {
			return refuse(ReasonMalformed, "the claim target_hashes holds what is not a target with a SHA-256 in upper-case hex")
		}
	}
	return nil
}

func isHash(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789ABCDEF") == "" }

// isText tells whether s can be shown on a terminal: valid UTF-8 without
// control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// encode writes the claims, which must have passed check, as JSON in the nested
// form: no white space, shortest numbers and strings, keys in the order of the
// original tools. Equal claims give equal bytes.
func (c *Claims) encode() []byte {
	o := objectWriter{'{'}
	o.time("exp", c.Expires)
	o.string("jti", c.ID)
	o.time("iat", c.IssuedAt)
	o.string("iss", c.Issuer)
	o.string("sub", c.Subject)
	o.time("nbf", c.NotBefore)
	w := objectWriter{'{'}
	switch c.Kind() {
	case Module:
		c.encodeModule(&w)
	case Service:
		c.encodeProvider(&w)
	default:
		w.optional("name", c.Name)
		w.list("valid_signers", c.ValidSigners)
	}
	o.key("wascap")
	o = append(append(o, w...), '}')
	if c.WascapRevision != 0 {
		o.int("wascap_revision", int64(c.WascapRevision))
	}
	return append(o, '}')
}

func (c *Claims) encodeModule(w *objectWriter) {
	w.optional("name", c.Name)
	w.string("hash", c.Hash)
	w.list("tags", c.Tags)
	w.list("caps", c.Capabilities)
	if c.Revision != 0 {
		w.int("rev", int64(c.Revision))
	}
	w.optional("ver", c.Version)
	w.optional("call_alias", c.CallAlias)
	w.key("prov")
	*w = strconv.AppendBool(*w, c.Provider)
}

func (c *Claims) encodeProvider(w *objectWriter) {
	w.optional("name", c.Name)
	w.string("capid", c.CapabilityID)
	w.string("vendor", c.Vendor)
	if c.Revision != 0 {
		w.int("rev", int64(c.Revision))
	}
	w.optional("ver", c.Version)
	w.key("target_hashes")
	hashes := objectWriter{'{'}
	for _, target := range slices.Sorted(maps.Keys(c.TargetHashes)) {
		hashes.string(target, c.TargetHashes[target])
	}
	*w = append(append(*w, hashes...), '}')
}

// objectWriter appends the members of a JSON object after its brace.
type objectWriter []byte

func (o *objectWriter) key(k string) {
	if len(*o) > 1 {
		*o = append(*o, ',')
	}
	*o = append(appendJSONString(*o, k), ':')
}

func (o *objectWriter) string(k, s string) {
	o.key(k)
	*o = appendJSONString(*o, s)
}

func (o *objectWriter) optional(k, s string) {
	if s != "" {
		o.string(k, s)
	}
}

func (o *objectWriter) int(k string, n int64) {
	o.key(k)
	*o = strconv.AppendInt(*o, n, 10)
}

func (o *objectWriter) time(k string, t time.Time) {
	if !t.IsZero() {
		o.int(k, t.Unix())
	}
}

func (o *objectWriter) list(k string, items []string) {
	o.key(k)
	*o = append(*o, '[')
	for i, s := range items {
		if i > 0 {
			*o = append(*o, ',')
		}
		*o = appendJSONString(*o, s)
	}
	*o = append(*o, ']')
}
