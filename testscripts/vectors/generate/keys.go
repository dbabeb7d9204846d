package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

const base32Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// kinds of keys, each with the place of its letter in base32.
var kinds = []struct {
	name   string
	letter byte
}{
	{"account", 'A'}, {"operator", 'O'}, {"module", 'M'}, {"service", 'V'}, {"server", 'N'}, {"cluster", 'C'}, {"user", 'U'},
}

func prefixOf(letter byte) byte { return byte(strings.IndexByte(base32Letters, letter)) << 3 }

// key is a pair of keys of the kind that a letter stands for.
type key struct {
	prefix byte
	secret ed25519.PrivateKey
}

// newKey makes the same key for the same label each time.
func newKey(letter byte, label string) key {
	raw := sha256.Sum256([]byte(label))
	return key{prefixOf(letter), ed25519.NewKeyFromSeed(raw[:])}
}

func (k key) public() string {
	return keyText([]byte{k.prefix}, k.secret.Public().(ed25519.PublicKey))
}

func (k key) seed() string { return seedText(k.prefix, 0, k.secret.Seed()) }

// seedText writes a seed: 5 bits for S, 8 for the kind, 3 that are zero as a rule.
func seedText(prefix, spare byte, raw []byte) string {
	return keyText([]byte{prefixOf('S') | prefix>>5, prefix<<3 | spare}, raw)
}

func keyText(prefix, raw []byte) string {
	b := slices.Concat(prefix, raw)
	crc := crc16(b)
	b = append(b, byte(crc), byte(crc>>8))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// crc16 is CRC-16 of the polynomial 0x1021, from 0, not reflected.
func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			carry := crc & 0x8000
			if crc <<= 1; carry != 0 {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

func keyVectors() []vectors.Key {
	var list []vectors.Key
	for _, kind := range kinds {
		k := newKey(kind.letter, kind.name)
		list = append(list,
			vectors.Key{Vector: vector(kind.name, "CLM-1"), Text: k.public(), Result: vectors.ResultOK, Kind: kind.name},
			vectors.Key{Vector: vector("seed of "+kind.name, "CLM-1"), Text: k.seed(), Result: vectors.ResultOK, Kind: kind.name,
				Public: k.public(), Message: "message", Signature: hex.EncodeToString(ed25519.Sign(k.secret, []byte("message")))})
	}
	for _, c := range invalidKeys() {
		list = append(list, vectors.Key{Vector: vector(c[0], c[1]), Text: c[2], Result: vectors.ResultInvalid})
	}
	return list
}

// invalidKeys are texts that are no keys: names, rules, texts.
func invalidKeys() [][3]string {
	m := newKey('M', "m")
	public, seed := m.public(), m.seed()
	last := strings.IndexByte(base32Letters, seed[57])
	reduced := append([]byte{0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...) // 2^255-19: another form of 0
	point := func(y ...byte) string { return keyText([]byte{prefixOf('A')}, append(y, make([]byte, 32-len(y))...)) }
	return [][3]string{
		{"empty", "CLM-1", ""},
		{"lower case", "CLM-1", strings.ToLower(public)},
		{"line break after it", "CLM-1", public + "\n"},
		{"space before it", "CLM-1", " " + public},
		{"padding", "CLM-1", public + "======"},
		{"letters swapped", "CLM-1", public[:20] + public[21:22] + public[20:21] + public[22:]},
		{"a letter changed", "CLM-1", public[:30] + string(base32Letters[(strings.IndexByte(base32Letters, public[30])+1)%32]) + public[31:]},
		{"cut", "CLM-1", public[:55]},
		{"its kind changed", "CLM-1", "A" + public[1:]},
		{"a digit that base32 has not", "CLM-1", public[:10] + "1" + public[11:]},
		{"a kind that there is not", "CLM-1", keyText([]byte{23 << 3}, m.secret.Public().(ed25519.PublicKey))},
		{"bits after the last byte of a seed", "CLM-1", seed[:57] + string(base32Letters[last|1])},
		{"bits after the kind of a seed", "CLM-1", seedText(m.prefix, 3, m.secret.Seed())},
		{"seed in lower case", "CLM-1", strings.ToLower(seed)},
		{"seed cut", "CLM-1", seed[:57]},
		{"a seed's kind that there is not", "CLM-1", seedText(23<<3, 0, m.secret.Seed())},
		{"the point 0", "CLM-2", point()},
		{"the point 1", "CLM-2", point(1)},
		{"the point 0, not reduced", "CLM-2", keyText([]byte{prefixOf('A')}, reduced)},
	}
}
