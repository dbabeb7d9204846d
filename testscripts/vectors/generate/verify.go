package main

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// The results of claims/verify.json that occur often.
const (
	ok          = vectors.ResultOK
	malformed   = "malformed"
	unsupported = "unsupported"
	keyKind     = "key-kind"
)

// tokenCase is a header or a payload, and what becomes of what carries it under a
// good signature. The texts have placeholders.
type tokenCase struct{ name, rules, text, want string }

func (c *claims) verifyVectors() []vectors.Verify {
	return slices.Concat(moduleCases(), c.headerVectors(), c.payloadVectors(), c.tokenVectors(), c.providerVectors(), c.timeVectors())
}

func (c *claims) headerVectors() []vectors.Verify {
	payload := placeholders.Replace(`{"jti":"header","iat":1,"iss":"$A","sub":"$M","wascap":{"hash":"$H"}}`)
	var list []vectors.Verify
	for _, h := range headerCases() {
		v := vectors.Verify{Vector: vector("header: "+h.name, h.rules), At: noon, Result: h.want,
			Module: hex.EncodeToString(embed(emptyModule, "jwt", sign(h.text, payload, account)))}
		if h.want == ok {
			v.Claims = c.read(payload)
		}
		list = append(list, v)
	}
	return list
}

func headerCases() []tokenCase {
	return []tokenCase{
		{"original", "CLM-13", goodHeader, ok},
		{"other order, white space", "CLM-15", " {\n\"alg\" : \"Ed25519\",\t\"typ\":\"jwt\"}\r\n", ok},
		{"escaped", "CLM-15", `{"typ":"jwt","a\u006cg":"\u0045d25519"}`, ok},
		{"none", "CLM-13", `{"typ":"jwt","alg":"none"}`, unsupported},
		{"EdDSA", "CLM-13", `{"typ":"jwt","alg":"EdDSA"}`, unsupported},
		{"lower case", "CLM-13", `{"typ":"jwt","alg":"ed25519"}`, unsupported},
		{"HS256", "CLM-13", `{"typ":"jwt","alg":"HS256"}`, unsupported},
		{"JWT", "CLM-13", `{"typ":"JWT","alg":"Ed25519"}`, unsupported},
		{"no alg", "CLM-13", `{"typ":"jwt"}`, unsupported},
		{"no typ", "CLM-13", `{"alg":"Ed25519"}`, unsupported},
		{"upper-case key", "CLM-14 CLM-17", `{"typ":"jwt","ALG":"Ed25519"}`, malformed},
		{"both cases", "CLM-14 CLM-17", `{"typ":"jwt","alg":"Ed25519","Alg":"none"}`, malformed},
		{"twice", "CLM-16", `{"typ":"jwt","alg":"none","alg":"Ed25519"}`, malformed},
		{"twice, escaped", "CLM-16", `{"typ":"jwt","alg":"Ed25519","al\u0067":"none"}`, malformed},
		{"unknown key", "CLM-14", `{"typ":"jwt","alg":"Ed25519","kid":"1"}`, malformed},
		{"crit", "CLM-14", `{"typ":"jwt","alg":"Ed25519","crit":[]}`, malformed},
		{"key inside", "CLM-14", `{"typ":"jwt","alg":"Ed25519","jwk":{}}`, malformed},
		{"alg is a list", "CLM-13", `{"typ":"jwt","alg":["Ed25519"]}`, malformed},
		{"null", "CLM-15", `null`, malformed},
		{"list", "CLM-15", `[]`, malformed},
		{"empty", "CLM-15", ``, malformed},
		{"two objects", "CLM-15", goodHeader + goodHeader, malformed},
		{"byte order mark", "CLM-15", "\ufeff" + goodHeader, malformed},
	}
}

// moduleCases are what may be done to the module around a token that is valid.
func moduleCases() []vectors.Verify {
	payload := placeholders.Replace(`{"jti":"id","iat":1772366400,"iss":"$A","sub":"$M","wascap":{"hash":"` + sum(smallModule) + `","tags":[],"caps":[],"prov":false}}`)
	text := sign(goodHeader, payload, account)
	signature := text[strings.LastIndexByte(text, '.'):]
	signed := embed(smallModule, "jwt", text)
	vouched := sign(goodHeader, placeholders.Replace(`{"jti":"id","iat":1772366400,"iss":"$O","sub":"$A","wascap":{"valid_signers":[]}}`), operator)
	provider := sign(goodHeader, placeholders.Replace(goodProvider), account)
	section := func(size []byte, name string) []byte {
		return slices.Concat(smallModule, []byte{0}, size, []byte(name+"jwt"+text))
	}
	padded := func(n int) []byte { b := leb(n); b[len(b)-1] |= 0x80; return append(b, 0) }
	flipped := bytes.Clone(signed)
	flipped[len(smallModule)-1] ^= 1
	size := len(text) + 4
	cases := []struct {
		name, rules string
		module      []byte
		want        string
	}{
		{"as signed", "CLM-54 CLM-59", signed, ok},
		{"later name", "CLM-54", embed(smallModule, "wasmcloud_jwt", text), ok},
		{"empty", "MOD-3", nil, "not-a-module"},
		{"version 2", "MOD-3", append([]byte("\x00asm\x02\x00\x00\x00"), signed[8:]...), "not-a-module"},
		{"trailing byte", "MOD-3", append(bytes.Clone(signed), 0), "not-a-module"},
		{"unsigned", "CLM-55", smallModule, "unsigned"},
		{"other name", "CLM-55", embed(smallModule, "JWT", text), "unsigned"},
		{"no custom section", "CLM-55", append(bytes.Clone(smallModule), append([]byte{11}, signed[len(smallModule)+1:]...)...), "unsigned"},
		{"two", "CLM-56", embed(signed, "jwt", text), "duplicate-section"},
		{"two names", "CLM-56", embed(signed, "wasmcloud_jwt", text), "duplicate-section"},
		{"two, first is empty", "CLM-56", embed(embed(smallModule, "jwt", ""), "jwt", text), "duplicate-section"},
		{"not last", "CLM-57", embed(signed, "name", ""), "misplaced-section"},
		{"first", "CLM-57", append(embed(emptyModule, "jwt", text), smallModule[8:]...), "misplaced-section"},
		{"padded size", "CLM-58", section(padded(size), "\x03"), "section-encoding"},
		{"padded name length", "CLM-58", section(leb(size+1), "\x83\x00"), "section-encoding"},
		{"too large", "CLM-19", embed(smallModule, "jwt", text+strings.Repeat("A", 64<<10)), "too-large"},
		{"no token", "CLM-12", embed(smallModule, "jwt", ""), malformed},
		{"line break", "CLM-12", embed(smallModule, "jwt", text+"\n"), malformed},
		{"inner line break", "CLM-12", embed(smallModule, "jwt", text[:len(text)-4]+"\n"+text[len(text)-4:]), malformed},
		{"padding", "CLM-12", embed(smallModule, "jwt", text+"=="), malformed},
		{"standard alphabet", "CLM-12", embed(smallModule, "jwt", strings.NewReplacer("-", "+", "_", "/").Replace(text)), malformed},
		{"bits after the last byte", "CLM-12", embed(smallModule, "jwt", spareBits(text)), malformed},
		{"two parts", "CLM-12", embed(smallModule, "jwt", strings.TrimSuffix(text, signature)), malformed},
		{"fourth part", "CLM-12", embed(smallModule, "jwt", text+"."), malformed},
		{"no signature", "CLM-18", embed(smallModule, "jwt", strings.TrimSuffix(text, signature[1:])), "signature"},
		{"signature cut", "CLM-18", embed(smallModule, "jwt", text[:len(text)-2]), "signature"},
		{"signature of other claims", "CLM-18", embed(smallModule, "jwt", base64url(goodHeader)+"."+base64url(strings.Replace(payload, `"caps":[]`, `"caps":["a:b"]`, 1))+signature), "signature"},
		{"signed by another", "CLM-18", embed(smallModule, "jwt", sign(goodHeader, payload, stranger)), "signature"},
		{"other module", "CLM-59", embed(emptyModule, "jwt", text), "hash"},
		{"a bit of it flipped", "CLM-59", flipped, "hash"},
		{"a section added", "CLM-59", embed(embed(smallModule, "y", ""), "jwt", text), "hash"},
		{"account's claims", "CLM-60", embed(smallModule, "jwt", vouched), keyKind},
		{"provider's claims", "CLM-60", embed(smallModule, "jwt", provider), keyKind},
	}
	var list []vectors.Verify
	for _, c := range cases {
		v := vectors.Verify{Vector: vector("module: "+c.name, c.rules), Module: hex.EncodeToString(c.module), At: noon, Result: c.want}
		if c.want == ok {
			v.Claims, _ = readClaims(payload)
		}
		list = append(list, v)
	}
	return list
}

// spareBits changes the bits of a token's last letter that stand for no byte: a
// signature has 64 bytes, and 86 letters have 4 bits more.
func spareBits(text string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, text[len(text)-1])
	return text[:len(text)-1] + string(letters[last|1])
}

// timeVectors look at the seconds in which claims begin and cease to hold.
func (c *claims) timeVectors() []vectors.Verify {
	payload := placeholders.Replace(`{"jti":"x","iat":1,"iss":"$A","sub":"$M","nbf":1000,"exp":2000,"wascap":{"hash":"$H"}}`)
	text := hex.EncodeToString(embed(emptyModule, "jwt", sign(goodHeader, payload, account)))
	var list []vectors.Verify
	for _, t := range []struct {
		name string
		at   int64
		want string
	}{
		{"before nbf", 999, "not-yet-valid"}, {"at nbf", 1000, ok}, {"before exp", 1999, ok}, {"at exp", 2000, "expired"}, {"long after", noon, "expired"},
	} {
		v := vectors.Verify{Vector: vector("time: "+t.name, "CLM-61"), Module: text, At: t.at, Result: t.want}
		if t.want == ok {
			v.Claims = c.read(payload)
		}
		list = append(list, v)
	}
	return list
}

const goodProvider = `{"jti":"x","iat":1,"iss":"$A","sub":"$V","wascap":{"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":"$F"}}}`

func (c *claims) providerVectors() []vectors.Verify {
	var list []vectors.Verify
	add := func(t tokenCase, target, file string, at int64) {
		payload := placeholders.Replace(t.text)
		v := vectors.Verify{Vector: vector("provider: "+t.name, t.rules), Token: sign(goodHeader, payload, account),
			Target: target, File: hex.EncodeToString([]byte(file)), At: at, Result: t.want}
		if t.want == ok {
			v.Claims = c.read(payload)
		}
		list = append(list, v)
	}
	for _, t := range providerCases() {
		add(t, linux, providerFile, noon)
	}
	add(tokenCase{"another file", "CLM-73 CLM-74", goodProvider, "hash"}, linux, "another file", noon)
	add(tokenCase{"a platform without one", "CLM-73 CLM-74", goodProvider, "hash"}, "aarch64-linux", providerFile, noon)
	timed := strings.Replace(goodProvider, `"iat":1`, `"iat":1,"nbf":1000,"exp":2000`, 1)
	add(tokenCase{"before it becomes valid", "CLM-61", timed, "not-yet-valid"}, linux, providerFile, 999)
	add(tokenCase{"in the second it expires", "CLM-61", timed, "expired"}, linux, providerFile, 2000)
	return list
}

func providerCases() []tokenCase {
	const ids = `"jti":"x","iat":1,"iss":"$A","sub":"$V"`
	const hashes = `"target_hashes":{"x86_64-linux":"$F"}`
	const good = `"capid":"a:b","vendor":"v",` + hashes
	inside := func(members string) string { return `{` + ids + `,"wascap":{` + members + `}}` }
	return []tokenCase{
		{"smallest", "CLM-72 CLM-73", inside(good), ok},
		{"as the original tools write it", "CLM-20 CLM-41", `{"jti":"x","iat":1,"iss":"$A","sub":"$V","wascap":{"name":null,"capid":"a:b","vendor":"v","rev":1,"ver":"0.1","config_schema":{"a":[1]},` + hashes + `},"wascap_revision":3}`, ok},
		{"no capability", "CLM-72", inside(`"vendor":"v",` + hashes), malformed},
		{"no vendor", "CLM-72", inside(`"capid":"a:b",` + hashes), malformed},
		{"no hashes", "CLM-72", inside(`"capid":"a:b","vendor":"v"`), malformed},
		{"empty hashes", "CLM-72", inside(`"capid":"a:b","vendor":"v","target_hashes":{}`), malformed},
		{"hashes are a list", "CLM-35", inside(`"capid":"a:b","vendor":"v","target_hashes":["$F"]`), malformed},
		{"hash is a number", "CLM-35", inside(`"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":1}`), malformed},
		{"lower-case hash", "CLM-73", inside(`"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":"$f"}`), malformed},
		{"a bad hash beside", "CLM-73", inside(`"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":"$F","x":""}`), malformed},
		{"target without a name", "CLM-72", inside(`"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":"$F","":"$F"}`), malformed},
		{"target twice", "CLM-16", inside(`"capid":"a:b","vendor":"v","target_hashes":{"x86_64-linux":"$f","x86_64-linux":"$F"}`), malformed},
		{"control character in the vendor", "CLM-38", inside(`"capid":"a:b","vendor":"v\u001b",` + hashes), malformed},
		{"key in another case", "CLM-17", inside(good + `,"Capid":"c:d"`), malformed},
		{"flat", "CLM-72", `{` + ids + `,` + good + `}`, malformed},
		{"capabilities of a module", "CLM-33", `{` + ids + `,"caps":["a:b"],"wascap":{` + good + `}}`, malformed},
		{"signers", "CLM-20", inside(good + `,"valid_signers":["$A"]`), ok}, // unknown here, as any other
		{"signed by an operator", "CLM-72", `{"jti":"x","iat":1,"iss":"$O","sub":"$V","wascap":{` + good + `}}`, keyKind},
		{"about a module", "CLM-72", `{"jti":"x","iat":1,"iss":"$A","sub":"$M","wascap":{"hash":"$H"}}`, keyKind},
	}
}
