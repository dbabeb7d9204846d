package wascap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseClaims reads a token's payload and checks it. Keys that it does not know
// are let pass, as the format has grown by such keys and will again; what
// restricts a token must not slip through as unknown, though: see unknownKey.
func parseClaims(payload []byte) (*Claims, error) {
	members, err := parseObject(payload)
	if err != nil {
		return nil, refuse(ReasonMalformed, "the token's payload: %w", err)
	}
	c := &Claims{Form: Flat}
	r := claimsReader{claims: c, seen: map[string]bool{}}
	for _, m := range members {
		if err := r.top(m.key, m.value); err != nil {
			return nil, refuse(ReasonMalformed, "the claim %q %w", m.key, err)
		}
	}
	for _, key := range []string{"jti", "iat", "iss", "sub"} {
		if !r.seen[key] {
			return nil, refuse(ReasonMalformed, "the claim %s is missing", key)
		}
	}
	if err := r.nested(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// claimsReader fills claims from the members of a payload.
type claimsReader struct {
	claims *Claims
	seen   map[string]bool // known keys of the payload itself
	wascap []jsonMember    // members of the object "wascap"
}

var (
	topKeys      = []string{"jti", "iat", "iss", "sub", "exp", "nbf", "wascap", "wascap_revision", "hash", "tags", "caps"}
	moduleKeys   = []string{"name", "hash", "tags", "caps", "rev", "ver", "call_alias", "prov"}
	providerKeys = []string{"name", "capid", "vendor", "rev", "ver", "target_hashes"}
	signerKeys   = []string{"name", "valid_signers"}
)

// top reads one member of the payload itself.
func (r *claimsReader) top(key string, v jsonValue) error {
	r.seen[key] = true
	c := r.claims
	switch key {
	case "jti":
		return v.string(&c.ID)
	case "iss":
		return v.string(&c.Issuer)
	case "sub":
		return v.string(&c.Subject)
	case "iat":
		return v.time(&c.IssuedAt)
	case "nbf":
		return v.time(&c.NotBefore)
	case "exp":
		return v.time(&c.Expires)
	case "wascap_revision":
		return v.revision(&c.WascapRevision)
	case "wascap":
		c.Form = Nested
		r.wascap = v.members
		return v.want(jsonObject)
	case "hash":
		return v.string(&c.Hash)
	case "tags":
		return v.strings(&c.Tags)
	case "caps":
		return v.strings(&c.Capabilities)
	case "aud":
		return errors.New("restricts the token to an audience, which these claims do not know")
	}
	return unknownKey(key, topKeys)
}

// nested reads the object "wascap", whose keys depend on the subject's kind.
func (r *claimsReader) nested() error {
	c := r.claims
	if c.Form == Flat {
		if k := c.Kind(); k == Account || k == Operator || k == Service {
			return refuse(ReasonMalformed, "the claim wascap is missing")
		}
		return nil // check wants the hash
	}
	for _, key := range []string{"hash", "tags", "caps"} {
		if r.seen[key] {
			return refuse(ReasonMalformed, "the claim %s stands beside wascap, where it belongs inside", key)
		}
	}
	read := c.signerKey
	switch c.Kind() {
	case Module:
		read = c.moduleKey
	case Service:
		read = c.providerKey
	}
	for _, m := range r.wascap {
		if err := read(m.key, m.value); err != nil {
			return refuse(ReasonMalformed, "the claim %q in wascap %w", m.key, err)
		}
	}
	return nil
}

func (c *Claims) moduleKey(key string, v jsonValue) error {
	switch key {
	case "name":
		return v.string(&c.Name)
	case "hash":
		return v.string(&c.Hash)
	case "tags":
		return v.strings(&c.Tags)
	case "caps":
		return v.strings(&c.Capabilities)
	case "rev":
		return v.revision(&c.Revision)
	case "ver":
		return v.string(&c.Version)
	case "call_alias":
		return v.string(&c.CallAlias)
	case "prov":
		c.Provider = v.truth
		return v.want(jsonBool)
	}
	return unknownKey(key, moduleKeys)
}

// providerKey reads a member of a provider's claims. The original tools write
// null for a name that was not given.
func (c *Claims) providerKey(key string, v jsonValue) error {
	switch key {
	case "name":
		if v.kind == jsonNull {
			return nil
		}
		return v.string(&c.Name)
	case "capid":
		return v.string(&c.CapabilityID)
	case "vendor":
		return v.string(&c.Vendor)
	case "rev":
		return v.revision(&c.Revision)
	case "ver":
		return v.string(&c.Version)
	case "target_hashes":
		return v.texts(&c.TargetHashes)
	}
	return unknownKey(key, providerKeys)
}

// signerKey reads a member of an account's or operator's claims. The original
// tools write null there for what was not given.
func (c *Claims) signerKey(key string, v jsonValue) error {
	switch key {
	case "name":
		if v.kind == jsonNull {
			return nil
		}
		return v.string(&c.Name)
	case "valid_signers":
		if v.kind == jsonNull {
			return nil
		}
		return v.strings(&c.ValidSigners)
	}
	return unknownKey(key, signerKeys)
}

// unknownKey refuses a key that differs from a known one by letter case alone:
// other readers would take it for that one, and its writer meant it so.
func unknownKey(key string, known []string) error {
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return fmt.Errorf("is spelled wrongly: write %q", k)
		}
	}
	return nil
}

func (v jsonValue) want(kind jsonKind) error {
	if v.kind != kind {
		return fmt.Errorf("is %s instead of %s", v.kind, kind)
	}
	return nil
}

func (v jsonValue) string(to *string) error {
	*to = v.text
	return v.want(jsonString)
}

// strings reads a list; an empty one gives nil, like an absent one.
func (v jsonValue) strings(to *[]string) error {
	if err := v.want(jsonArray); err != nil {
		return err
	}
	for _, item := range v.items {
		if err := item.want(jsonString); err != nil {
			return fmt.Errorf("holds an item that %w", err)
		}
		*to = append(*to, item.text)
	}
	return nil
}

// texts reads an object of strings.
func (v jsonValue) texts(to *map[string]string) error {
	if err := v.want(jsonObject); err != nil {
		return err
	}
	*to = make(map[string]string, len(v.members))
	for _, m := range v.members {
		if err := m.value.want(jsonString); err != nil {
			return fmt.Errorf("holds the key %q, which %w", m.key, err)
		}
		(*to)[m.key] = m.value.text
	}
	return nil
}

// whole reads a whole number below two to the power of bits, in digits alone.
func (v jsonValue) whole(bits int) (int64, error) {
	if err := v.want(jsonNumber); err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(v.text, 10, bits)
	if err != nil {
		return 0, errors.New("is not a whole number, or too large a one")
	}
	return int64(n), nil
}

func (v jsonValue) revision(to *int) error {
	n, err := v.whole(31)
	*to = int(n)
	return err
}

// time reads whole seconds since 1970.
func (v jsonValue) time(to *time.Time) error {
	seconds, err := v.whole(63)
	*to = time.Unix(seconds, 0).UTC()
	return err
}
