package wascap_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

func moduleVector(name string, module []byte, want wascap.Reason) verifyVector {
	return verifyVector{Name: name, Module: hex.EncodeToString(module), At: noon.Unix(), Result: resultOf(want)}
}

func resultOf(r wascap.Reason) string {
	if r == ok {
		return "ok"
	}
	return string(r)
}

// tokenCase is a header or a payload, and what Verify makes of a module (or
// VerifyToken of a token) that carries it under a good signature. In the texts,
// $A, $B, $O, $P, $M, $N and $H stand for two accounts, two operators, a
// module, a server and the hash of emptyModule.
type tokenCase struct {
	name, text string
	want       wascap.Reason
}

func placeholders(t *testing.T) *strings.Replacer {
	return strings.NewReplacer("$A", pub(fixedKey(t, wascap.Account, "a")), "$B", pub(fixedKey(t, wascap.Account, "b")),
		"$O", pub(fixedKey(t, wascap.Operator, "o")), "$P", pub(fixedKey(t, wascap.Operator, "p")),
		"$M", pub(fixedKey(t, wascap.Module, "m")), "$N", pub(fixedKey(t, wascap.Server, "n")),
		"$H", "93A44BBB96C751218E4C00D479E4C14358122A389ACCA16205B1E4D0DC5F9476")
}

const (
	ok          wascap.Reason = ""
	malformed                 = wascap.ReasonMalformed
	unsupported               = wascap.ReasonUnsupported
	keyKind                   = wascap.ReasonKeyKind
)

func headerVectors(t *testing.T) []verifyVector {
	const payload = `{"jti":"x","iat":1,"iss":"$A","sub":"$M","wascap":{"hash":"$H"}}`
	cases := []tokenCase{
		{"original", goodHeader, ok},
		{"other order, white space", " {\n\"alg\" : \"Ed25519\",\t\"typ\":\"jwt\"}\r\n", ok},
		{"escaped", `{"typ":"jwt","a\u006cg":"\u0045d25519"}`, ok},
		{"none", `{"typ":"jwt","alg":"none"}`, unsupported},
		{"EdDSA", `{"typ":"jwt","alg":"EdDSA"}`, unsupported},
		{"lower case", `{"typ":"jwt","alg":"ed25519"}`, unsupported},
		{"HS256", `{"typ":"jwt","alg":"HS256"}`, unsupported},
		{"JWT", `{"typ":"JWT","alg":"Ed25519"}`, unsupported},
		{"no alg", `{"typ":"jwt"}`, unsupported},
		{"no typ", `{"alg":"Ed25519"}`, unsupported},
		{"upper-case key", `{"typ":"jwt","ALG":"Ed25519"}`, malformed},
		{"both cases", `{"typ":"jwt","alg":"Ed25519","Alg":"none"}`, malformed},
		{"twice", `{"typ":"jwt","alg":"none","alg":"Ed25519"}`, malformed},
		{"twice, escaped", `{"typ":"jwt","alg":"Ed25519","al\u0067":"none"}`, malformed},
		{"unknown key", `{"typ":"jwt","alg":"Ed25519","kid":"1"}`, malformed},
		{"crit", `{"typ":"jwt","alg":"Ed25519","crit":[]}`, malformed},
		{"key inside", `{"typ":"jwt","alg":"Ed25519","jwk":{}}`, malformed},
		{"alg is a list", `{"typ":"jwt","alg":["Ed25519"]}`, malformed},
		{"null", `null`, malformed},
		{"list", `[]`, malformed},
		{"empty", ``, malformed},
		{"two objects", goodHeader + goodHeader, malformed},
		{"byte order mark", "\ufeff" + goodHeader, malformed},
	}
	account := fixedKey(t, wascap.Account, "a")
	var vectors []verifyVector
	for _, c := range cases {
		token := forge(t, c.text, placeholders(t).Replace(payload), account)
		vectors = append(vectors, moduleVector("header: "+c.name, embed(emptyModule, "jwt", token), c.want))
	}
	return vectors
}

func payloadVectors(t *testing.T) []verifyVector {
	const ids = `"jti":"x","iat":1,"iss":"$A","sub":"$M"`
	const wrap = `"wascap":{"hash":"$H"}`
	const vouch = `"jti":"x","iat":1,"iss":"$O"`
	nested := func(extra string) string { return `{` + ids + `,"wascap":{"hash":"$H"` + extra + `}}` }
	beside := func(extra string) string { return `{` + ids + `,` + wrap + extra + `}` }
	cases := []tokenCase{
		{"smallest", nested(``), ok},
		{"flat", `{` + ids + `,"hash":"$H","tags":[],"caps":["a:b"]}`, ok},
		{"white space", "\t{ " + ids + " ,\r\n" + wrap + " } ", ok},
		{"all keys", `{"exp":99999999999,"nbf":0,` + ids + `,"wascap":{"name":"n","hash":"$H","tags":["t"],"caps":["c"],"rev":1,"ver":"","call_alias":"x","prov":true},"wascap_revision":3}`, ok},
		{"revision 2", beside(`,"wascap_revision":2`), ok},
		{"unknown keys", beside(`,"new":{"exp":1,"a":[1.5e3,-0,null,true]},"x":"\ud83d\ude00"`), ok},
		{"unknown key inside", nested(`,"interfaces":[{}]`), ok},
		{"escaped key", `{"jti":"x","iat":1,"iss":"$A","\u0073ub":"$M",` + wrap + `}`, ok},
		{"repeated capability", nested(`,"caps":["a","a"]`), ok},

		{"no object", `"x"`, malformed},
		{"empty", ``, malformed},
		{"cut", `{` + ids, malformed},
		{"trailing data", nested(``) + `{}`, malformed},
		{"trailing comma", `{` + ids + `,` + wrap + `,}`, malformed},
		{"comment", `{` + ids + `,/**/` + wrap + `}`, malformed},
		{"byte order mark", "\ufeff" + nested(``), malformed},
		{"NUL at the end", nested(``) + "\x00", malformed},
		{"not UTF-8", nested(`,"name":"` + "\xff" + `"`), malformed},
		{"not UTF-8 in an unknown key", beside(`,"x":"` + "\xff" + `"`), malformed},
		{"overlong UTF-8", nested(`,"name":"` + "\xc0\xaf" + `"`), malformed},
		{"half a pair", nested(`,"name":"\ud83d"`), malformed},
		{"pair the wrong way", nested(`,"name":"\ude00\ud83d"`), malformed},
		{"bad escape", nested(`,"name":"\x41"`), malformed},
		{"short escape", nested(`,"name":"\u12"`), malformed},
		{"raw line break", nested(",\"name\":\"a\nb\""), malformed},
		{"escaped line break", nested(`,"name":"a\nb"`), malformed},
		{"C1 control", nested(`,"tags":["\u009b"]`), malformed},
		{"deep", beside(`,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), malformed},

		{"exp twice", beside(`,"exp":1,"exp":99999999999`), malformed},
		{"exp twice, escaped", beside(`,"exp":99999999999,"\u0065xp":1`), malformed},
		{"caps twice", nested(`,"caps":[],"caps":["a"]`), malformed},
		{"wascap twice", beside(`,` + wrap), malformed},
		{"unknown key twice", beside(`,"u":1,"u":2`), malformed},
		{"unknown inner key twice", beside(`,"u":[{"v":1,"v":1}]`), malformed},

		{"Exp", beside(`,"Exp":1`), malformed},
		{"EXP beside exp", beside(`,"exp":99999999999,"EXP":1`), malformed},
		{"long s in iss", beside(`,"i\u017fs":"x"`), malformed},
		{"Caps inside", nested(`,"Caps":["a"]`), malformed},
		{"Wascap", `{` + ids + `,"Wascap":{"hash":"$H"}}`, malformed},

		{"exp is text", beside(`,"exp":"99999999999"`), malformed},
		{"exp is null", beside(`,"exp":null`), malformed},
		{"exp is negative", beside(`,"exp":-1`), malformed},
		{"exp is minus zero", beside(`,"exp":-0`), malformed},
		{"exp has a fraction", beside(`,"exp":99999999999.5`), malformed},
		{"exp has an exponent", beside(`,"exp":1e11`), malformed},
		{"exp is in the year 10000", beside(`,"exp":253402300800`), malformed},
		{"exp is 2^64", beside(`,"exp":18446744073709551616`), malformed},
		{"exp has a leading zero", beside(`,"exp":099999999999`), malformed},
		{"exp has a plus", beside(`,"exp":+1`), malformed},
		{"nbf is true", beside(`,"nbf":true`), malformed},
		{"iat is text", `{"jti":"x","iat":"1","iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"aud", beside(`,"aud":"x"`), malformed},
		{"wascap is a list", `{` + ids + `,"wascap":[]}`, malformed},
		{"wascap is null, flat beside", `{` + ids + `,"wascap":null,"hash":"$H"}`, malformed},
		{"caps is text", nested(`,"caps":"a"`), malformed},
		{"caps is null", nested(`,"caps":null`), malformed},
		{"caps holds a number", nested(`,"caps":[1]`), malformed},
		{"caps holds an empty text", nested(`,"caps":[""]`), malformed},
		{"tags is an object", nested(`,"tags":{}`), malformed},
		{"prov is a number", nested(`,"prov":1`), malformed},
		{"rev is negative", nested(`,"rev":-1`), malformed},
		{"rev is 2^31", nested(`,"rev":2147483648`), malformed},
		{"name is null", nested(`,"name":null`), malformed},
		{"revision 1", beside(`,"wascap_revision":1`), unsupported},
		{"revision 4", beside(`,"wascap_revision":4`), unsupported},
		{"caps beside wascap", beside(`,"caps":["a"]`), malformed},
		{"hash beside wascap", `{` + ids + `,"hash":"$H","wascap":{}}`, malformed},
		{"no hash", `{` + ids + `,"wascap":{}}`, malformed},
		{"no hash, flat", `{` + ids + `,"caps":[]}`, malformed},
		{"hash in lower case", `{` + ids + `,"wascap":{"hash":"` + strings.Repeat("a", 64) + `"}}`, malformed},
		{"short hash", `{` + ids + `,"wascap":{"hash":"AB"}}`, malformed},
		{"other hash", `{` + ids + `,"wascap":{"hash":"` + strings.Repeat("A", 64) + `"}}`, wascap.ReasonHash},
		{"expired", beside(`,"exp":0`), wascap.ReasonExpired},
		{"not yet valid", beside(`,"nbf":253402300799`), wascap.ReasonNotYetValid},

		{"no jti", `{"iat":1,"iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"no iat", `{"jti":"x","iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"no iss", `{"jti":"x","iat":1,"sub":"$M",` + wrap + `}`, malformed},
		{"no sub", `{"jti":"x","iat":1,"iss":"$A",` + wrap + `}`, malformed},
		{"sub is no key", `{"jti":"x","iat":1,"iss":"$A","sub":"test.wasm",` + wrap + `}`, malformed},
		{"iss is no key", `{"jti":"x","iat":1,"iss":"","sub":"$M",` + wrap + `}`, malformed},
		{"iss is a module", `{"jti":"x","iat":1,"iss":"$M","sub":"$M",` + wrap + `}`, keyKind},
		{"iss is an operator", `{"jti":"x","iat":1,"iss":"$O","sub":"$M",` + wrap + `}`, keyKind},
		{"sub is a server", `{"jti":"x","iat":1,"iss":"$A","sub":"$N",` + wrap + `}`, keyKind},
		{"signed by another", `{"jti":"x","iat":1,"iss":"$B","sub":"$M",` + wrap + `}`, wascap.ReasonSignature},

		{"account", `{` + vouch + `,"sub":"$A","wascap":{"name":"a","valid_signers":["$B"]}}`, ok},
		{"account of the original tools", `{` + vouch + `,"sub":"$A","wascap":{"name":null,"valid_signers":null},"wascap_revision":3}`, ok},
		{"operator", `{` + vouch + `,"sub":"$O","wascap":{"valid_signers":["$P"]}}`, ok},
		{"operator of an operator", `{` + vouch + `,"sub":"$P","wascap":{}}`, ok},
		{"expired account", `{` + vouch + `,"sub":"$A","exp":1,"wascap":{}}`, wascap.ReasonExpired},
		{"account without wascap", `{` + vouch + `,"sub":"$A"}`, malformed},
		{"account with flat keys", `{` + vouch + `,"sub":"$A","caps":["a"],"wascap":{}}`, malformed},
		{"account with a module's key", `{` + vouch + `,"sub":"$A","wascap":{"valid_signers":["$M"]}}`, keyKind},
		{"account with an operator's key", `{` + vouch + `,"sub":"$A","wascap":{"valid_signers":["$O"]}}`, keyKind},
		{"operator with an account's key", `{` + vouch + `,"sub":"$O","wascap":{"valid_signers":["$A"]}}`, keyKind},
		{"signer is no key", `{` + vouch + `,"sub":"$A","wascap":{"valid_signers":["A"]}}`, malformed},
		{"signers in another case", `{` + vouch + `,"sub":"$A","wascap":{"Valid_Signers":[]}}`, malformed},
		{"account of an account", `{"jti":"x","iat":1,"iss":"$A","sub":"$B","wascap":{}}`, keyKind},
	}
	account, operator := fixedKey(t, wascap.Account, "a"), fixedKey(t, wascap.Operator, "o")
	var vectors []verifyVector
	for _, c := range cases {
		payload := placeholders(t).Replace(c.text)
		if strings.Contains(c.text, vouch) {
			token := forge(t, goodHeader, payload, operator)
			vectors = append(vectors, verifyVector{Name: "token: " + c.name, Token: token, At: noon.Unix(), Result: resultOf(c.want)})
			continue
		}
		token := forge(t, goodHeader, payload, account)
		vectors = append(vectors, moduleVector("payload: "+c.name, embed(emptyModule, "jwt", token), c.want))
	}
	return vectors
}

// moduleVectors are what an attacker may do to the module around a token that is
// valid.
func moduleVectors(t *testing.T) []verifyVector {
	account, module := fixedKey(t, wascap.Account, "a"), fixedKey(t, wascap.Module, "m")
	operator := fixedKey(t, wascap.Operator, "o")
	signed := mustSign(t, smallModule, wascap.Claims{Subject: pub(module)}, account)
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	text := token.String()
	vouched, err := wascap.SignToken(wascap.Claims{Subject: pub(account)}, operator, &wascap.SignOptions{IssuedAt: noon, ID: "id"})
	if err != nil {
		t.Fatal(err)
	}
	// A claims section whose three lengths are written by hand.
	section := func(size, name string) []byte {
		return append(bytes.Clone(smallModule), "\x00"+size+name+"jwt"+text...)
	}
	leb := func(n int) string { return string(wasm.AppendUint32(nil, uint32(n))) }
	padded := func(n int) string { return leb(n)[:1] + string([]byte{leb(n)[1] | 0x80, 0}) }
	if len(text) < 128 || len(text) > 16000 {
		t.Fatal("the token's length no longer has two bytes")
	}
	cases := []struct {
		name   string
		module []byte
		want   wascap.Reason
	}{
		{"as signed", signed, ""},
		{"by hand", section(leb(len(text)+4), "\x03"), ""},
		{"later name", embed(smallModule, "wasmcloud_jwt", text), ""},
		{"empty", nil, wascap.ReasonNotModule},
		{"version 2", append([]byte("\x00asm\x02\x00\x00\x00"), signed[8:]...), wascap.ReasonNotModule},
		{"unsigned", smallModule, wascap.ReasonUnsigned},
		{"other name", embed(smallModule, "JWT", text), wascap.ReasonUnsigned},
		{"no custom section", append(bytes.Clone(smallModule), append([]byte{11}, signed[len(smallModule)+1:]...)...), wascap.ReasonUnsigned},
		{"two", embed(signed, "jwt", text), wascap.ReasonDuplicateSection},
		{"two names", embed(signed, "wasmcloud_jwt", text), wascap.ReasonDuplicateSection},
		{"two, first is empty", embed(embed(smallModule, "jwt", ""), "jwt", text), wascap.ReasonDuplicateSection},
		{"not last", embed(signed, "name", ""), wascap.ReasonMisplacedSection},
		{"first", append(embed(emptyModule, "jwt", text), smallModule[8:]...), wascap.ReasonMisplacedSection},
		{"trailing byte", append(bytes.Clone(signed), 0), wascap.ReasonNotModule},
		{"padded size", section(padded(len(text)+4), "\x03"), wascap.ReasonSectionEncoding},
		{"padded name length", section(leb(len(text)+5), "\x83\x00"), wascap.ReasonSectionEncoding},
		{"too large", embed(smallModule, "jwt", text+strings.Repeat("A", wascap.MaxTokenSize)), wascap.ReasonTooLarge},
		{"no token", embed(smallModule, "jwt", ""), wascap.ReasonMalformed},
		{"line break", embed(smallModule, "jwt", text+"\n"), wascap.ReasonMalformed},
		{"inner line break", embed(smallModule, "jwt", text[:len(text)-4]+"\n"+text[len(text)-4:]), wascap.ReasonMalformed},
		{"padding", embed(smallModule, "jwt", text+"=="), wascap.ReasonMalformed},
		{"fourth part", embed(smallModule, "jwt", text+"."), wascap.ReasonMalformed},
		{"no signature", embed(smallModule, "jwt", text[:strings.LastIndexByte(text, '.')+1]), wascap.ReasonSignature},
		{"other module", embed(emptyModule, "jwt", text), wascap.ReasonHash},
		{"account's claims", embed(smallModule, "jwt", vouched), wascap.ReasonKeyKind},
	}
	var vectors []verifyVector
	for _, c := range cases {
		vectors = append(vectors, moduleVector("module: "+c.name, c.module, c.want))
	}
	return vectors
}
