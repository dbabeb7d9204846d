package wascap

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"
)

var (
	// ErrInvalidKey is what every error about a text that is no key matches.
	// Such errors never repeat the text: it may be a secret with a typing error.
	ErrInvalidKey = errors.New("not a valid key")
	// ErrWiped is returned by a KeyPair that was wiped.
	ErrWiped = errors.New("the key pair was wiped")
)

// Kind is what a key is for. Its first letter in text is fixed by the kind.
type Kind uint8

const (
	Account  Kind = iota + 1 // A: signs modules
	Operator                 // O: vouches for accounts
	Module                   // M: identifies a module
	Service                  // V: identifies a provider
	Server                   // N: identifies a host
	Cluster                  // C: a group of hosts
	User                     // U: a person or a program
)

// kinds maps a Kind to its prefix byte, whose upper five bits are the letter in
// base32. Modules and services are the original wascap's, and unknown to nkeys.
var kinds = [...]struct {
	name   string
	prefix byte
}{
	Account:  {"account", byte(nkeys.PrefixByteAccount)},
	Operator: {"operator", byte(nkeys.PrefixByteOperator)},
	Module:   {"module", 12 << 3},
	Service:  {"service", 21 << 3},
	Server:   {"server", byte(nkeys.PrefixByteServer)},
	Cluster:  {"cluster", byte(nkeys.PrefixByteCluster)},
	User:     {"user", byte(nkeys.PrefixByteUser)},
}

// String gives the name of the kind in lower case.
func (k Kind) String() string {
	if !k.valid() {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kinds[k].name
}

func (k Kind) valid() bool { return k >= Account && int(k) < len(kinds) }

func kindOfPrefix(prefix byte) (Kind, bool) {
	for k := Account; int(k) < len(kinds); k++ {
		if kinds[k].prefix == prefix {
			return k, true
		}
	}
	return 0, false
}

const (
	seedPrefix  = byte(nkeys.PrefixByteSeed)
	publicChars = 56 // prefix byte, 32 bytes, CRC: 35 bytes in base32
	seedChars   = 58 // two prefix bytes, 32 bytes, CRC: 36 bytes in base32
)

var keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// PublicKey is a public key and its kind. Its zero value is no key.
type PublicKey struct {
	kind Kind
	key  [ed25519.PublicKeySize]byte
}

// ParsePublicKey reads the text form of a public key. It accepts the one text
// that String gives for a key, and refuses keys for which anybody could make
// signatures (points of small order) or that have a second encoding. An error
// matches ErrInvalidKey.
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) == seedChars && text[0] == 'S' {
		return PublicKey{}, fmt.Errorf("%w: this is a seed, which is secret; a public key is wanted", ErrInvalidKey)
	}
	raw, err := decodeKey([]byte(text), publicChars)
	if err != nil {
		return PublicKey{}, err
	}
	kind, ok := kindOfPrefix(raw[0])
	if !ok {
		return PublicKey{}, fmt.Errorf("%w: its first letter stands for no kind of key", ErrInvalidKey)
	}
	p := PublicKey{kind: kind, key: [ed25519.PublicKeySize]byte(raw[1:])}
	if weak(p.key) {
		return PublicKey{}, fmt.Errorf("%w: it is a weak point of the curve", ErrInvalidKey)
	}
	return p, nil
}

// Kind tells what the key is for; 0 for the zero value.
func (p PublicKey) Kind() Kind { return p.kind }

// String gives the text form, 56 characters; "" for the zero value.
func (p PublicKey) String() string {
	if !p.kind.valid() {
		return ""
	}
	return string(encodeKey([]byte{kinds[p.kind].prefix}, p.key[:]))
}

// Verify tells whether the key's owner signed the message.
func (p PublicKey) Verify(message, signature []byte) bool {
	return p.kind.valid() && len(signature) == ed25519.SignatureSize &&
		ed25519.Verify(p.key[:], message, signature)
}

// KindOf tells the kind of a key by its text, which may be a public key or a
// seed. An error matches ErrInvalidKey.
func KindOf(text string) (Kind, error) {
	if len(text) == seedChars {
		kind, raw, err := decodeSeed([]byte(text))
		clear(raw)
		return kind, err
	}
	p, err := ParsePublicKey(text)
	return p.kind, err
}

// KeyPair is a key that can sign. Its secret shows in no error and with no
// verb of package fmt; only Seed gives it out.
//
// Its methods may be called at the same time, except Wipe.
type KeyPair struct {
	public PublicKey
	// secret is behind a function because fmt calls no methods on unexported
	// fields of other structs: there it would print a slice, and with a verb
	// that does not fit even what a pointer points to. Nil once wiped.
	secret func() ed25519.PrivateKey
}

// Generate makes a new key of the kind from the system's randomness.
func Generate(kind Kind) (*KeyPair, error) {
	if !kind.valid() {
		return nil, fmt.Errorf("wascap: generate key: unknown kind %d", uint8(kind))
	}
	_, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("wascap: generate key: %w", err)
	}
	return newKeyPair(kind, secret), nil
}

// FromSeed makes the key pair of a seed, which it copies. The seed must stand
// alone, without white space. An error matches ErrInvalidKey and does not
// repeat the seed.
func FromSeed(seed []byte) (*KeyPair, error) {
	kind, raw, err := decodeSeed(seed)
	defer clear(raw)
	if err != nil {
		return nil, fmt.Errorf("wascap: read seed: %w", err)
	}
	return newKeyPair(kind, ed25519.NewKeyFromSeed(raw[2:])), nil
}

func newKeyPair(kind Kind, secret ed25519.PrivateKey) *KeyPair {
	public := PublicKey{kind: kind, key: [ed25519.PublicKeySize]byte(secret[ed25519.SeedSize:])}
	return &KeyPair{public: public, secret: func() ed25519.PrivateKey { return secret }}
}

// PublicKey gives the public half. It stays after Wipe.
func (k *KeyPair) PublicKey() PublicKey { return k.public }

// Seed gives the seed's text, which is secret, in a new slice; ErrWiped after
// Wipe.
func (k *KeyPair) Seed() ([]byte, error) {
	if k.wiped() {
		return nil, ErrWiped
	}
	prefix := kinds[k.public.kind].prefix
	return encodeKey([]byte{seedPrefix | prefix>>5, prefix << 3}, k.secret().Seed()), nil
}

// Sign signs the message with Ed25519; ErrWiped after Wipe.
func (k *KeyPair) Sign(message []byte) ([]byte, error) {
	if k.wiped() {
		return nil, ErrWiped
	}
	return ed25519.Sign(k.secret(), message), nil
}

// Wipe overwrites the secret with zeros. Copies that the Go runtime or a caller
// of Seed made are out of its reach. It may be called more than once.
func (k *KeyPair) Wipe() {
	if !k.wiped() {
		clear(k.secret())
		k.secret = nil
	}
}

// wiped holds for the zero value, too.
func (k *KeyPair) wiped() bool { return k.secret == nil }

// Format prints the public key, whatever the verb.
func (k KeyPair) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s key %s", k.public.kind, k.public)
}

// decodeSeed gives the kind of a seed and its 34 decoded bytes: two that hold
// the prefixes (5 bits for the letter S, 8 for the kind, 3 that are zero), and
// the 32 of the seed proper.
func decodeSeed(seed []byte) (Kind, []byte, error) {
	raw, err := decodeKey(seed, seedChars)
	if err != nil {
		return 0, nil, err
	}
	if raw[0]&0xf8 != seedPrefix || raw[1]&7 != 0 {
		return 0, raw, fmt.Errorf("%w: a seed starts with the letter S", ErrInvalidKey)
	}
	kind, ok := kindOfPrefix(raw[0]<<5 | raw[1]>>3)
	if !ok {
		return 0, raw, fmt.Errorf("%w: its second letter stands for no kind of key", ErrInvalidKey)
	}
	return kind, raw, nil
}

// decodeKey decodes a key's text of so many characters and checks the CRC. The
// text must be the one that encodeKey makes: no line breaks, no lower case, no
// bits after the last byte.
func decodeKey(text []byte, chars int) ([]byte, error) {
	if len(text) != chars {
		return nil, fmt.Errorf("%w: it has %d characters instead of %d", ErrInvalidKey, len(text), chars)
	}
	raw := make([]byte, keyEncoding.DecodedLen(chars))
	n, err := keyEncoding.Decode(raw, text)
	if err != nil || n != len(raw) {
		return nil, fmt.Errorf("%w: it has characters other than A-Z and 2-7", ErrInvalidKey)
	}
	body, sum := raw[:n-2], binary.LittleEndian.Uint16(raw[n-2:])
	if crc16(body) != sum {
		return nil, fmt.Errorf("%w: its checksum is wrong, so a character is", ErrInvalidKey)
	}
	if !bytes.Equal(keyEncoding.AppendEncode(nil, raw), text) {
		return nil, fmt.Errorf("%w: its last character carries bits that mean nothing", ErrInvalidKey)
	}
	return body, nil
}

func encodeKey(prefix, key []byte) []byte {
	raw := append(prefix, key...)
	raw = binary.LittleEndian.AppendUint16(raw, crc16(raw))
	return keyEncoding.AppendEncode(nil, raw)
}

// crc16 is the CRC-16 of XMODEM (CCITT's polynomial 0x1021, start 0), which
// nkeys ends every key with.
func crc16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*0x1021
		}
	}
	return crc
}
