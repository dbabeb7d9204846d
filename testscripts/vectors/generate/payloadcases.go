package main

import (
	"encoding/hex"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// payloadVectors are modules whose token has this payload.
func (c *claims) payloadVectors() []vectors.Verify {
	var list []vectors.Verify
	for _, p := range append(goodPayloads(), badPayloads()...) {
		payload := placeholders.Replace(p.text)
		v := vectors.Verify{Vector: vector("payload: "+p.name, p.rules), At: noon, Result: p.want,
			Module: hex.EncodeToString(embed(emptyModule, "jwt", sign(goodHeader, payload, account)))}
		if p.want == ok {
			v.Claims = c.read(payload)
		}
		list = append(list, v)
	}
	return list
}

const (
	ids  = `"jti":"x","iat":1,"iss":"$A","sub":"$M"`
	wrap = `"wascap":{"hash":"$H"}`
)

func nested(extra string) string { return `{` + ids + `,"wascap":{"hash":"$H"` + extra + `}}` }
func beside(extra string) string { return `{` + ids + `,` + wrap + extra + `}` }

func goodPayloads() []tokenCase {
	return []tokenCase{
		{"smallest", "CLM-32", nested(``), ok},
		{"flat", "CLM-32", `{` + ids + `,"hash":"$H","tags":[],"caps":["a:b"]}`, ok},
		{"white space", "CLM-15", "\t{ " + ids + " ,\r\n" + wrap + " } ", ok},
		{"all keys", "CLM-32", `{"exp":99999999999,"nbf":0,` + ids + `,"wascap":{"name":"n","hash":"$H","tags":["t"],"caps":["c"],"rev":1,"ver":"","call_alias":"x","prov":true},"wascap_revision":3}`, ok},
		{"revision 2", "CLM-37", beside(`,"wascap_revision":2`), ok},
		{"unknown keys", "CLM-20", beside(`,"new":{"exp":1,"a":[1.5e3,-0,null,true]},"x":"\ud83d\ude00"`), ok},
		{"unknown key inside", "CLM-20", nested(`,"interfaces":[{}]`), ok},
		{"escaped key", "CLM-15", `{"jti":"x","iat":1,"iss":"$A","\u0073ub":"$M",` + wrap + `}`, ok},
		{"repeated capability", "CLM-35", nested(`,"caps":["a","a"]`), ok},
	}
}

func badPayloads() []tokenCase {
	return append(badJSON(), badClaims()...)
}

func badJSON() []tokenCase {
	return []tokenCase{
		{"no object", "CLM-15", `"x"`, malformed},
		{"empty", "CLM-15", ``, malformed},
		{"cut", "CLM-15", `{` + ids, malformed},
		{"trailing data", "CLM-15", nested(``) + `{}`, malformed},
		{"trailing comma", "CLM-15", `{` + ids + `,` + wrap + `,}`, malformed},
		{"comment", "CLM-15", `{` + ids + `,/**/` + wrap + `}`, malformed},
		{"byte order mark", "CLM-15", "\ufeff" + nested(``), malformed},
		{"NUL at the end", "CLM-15", nested(``) + "\x00", malformed},
		{"not UTF-8", "CLM-15", nested(`,"name":"` + "\xff" + `"`), malformed},
		{"not UTF-8 in an unknown key", "CLM-15", beside(`,"x":"` + "\xff" + `"`), malformed},
		{"overlong UTF-8", "CLM-15", nested(`,"name":"` + "\xc0\xaf" + `"`), malformed},
		{"half a pair", "CLM-15", nested(`,"name":"\ud83d"`), malformed},
		{"pair the wrong way", "CLM-15", nested(`,"name":"\ude00\ud83d"`), malformed},
		{"bad escape", "CLM-15", nested(`,"name":"\x41"`), malformed},
		{"short escape", "CLM-15", nested(`,"name":"\u12"`), malformed},
		{"raw line break", "CLM-15", nested(",\"name\":\"a\nb\""), malformed},
		{"escaped line break", "CLM-38", nested(`,"name":"a\nb"`), malformed},
		{"C1 control", "CLM-38", nested(`,"tags":["\u009b"]`), malformed},
		{"deep", "CLM-22", beside(`,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100)), malformed},

		{"exp twice", "CLM-16", beside(`,"exp":1,"exp":99999999999`), malformed},
		{"exp twice, escaped", "CLM-16", beside(`,"exp":99999999999,"\u0065xp":1`), malformed},
		{"caps twice", "CLM-16", nested(`,"caps":[],"caps":["a"]`), malformed},
		{"wascap twice", "CLM-16", beside(`,` + wrap), malformed},
		{"unknown key twice", "CLM-16", beside(`,"u":1,"u":2`), malformed},
		{"unknown inner key twice", "CLM-16", beside(`,"u":[{"v":1,"v":1}]`), malformed},

		{"Exp", "CLM-17", beside(`,"Exp":1`), malformed},
		{"EXP beside exp", "CLM-17", beside(`,"exp":99999999999,"EXP":1`), malformed},
		{"long s in iss", "CLM-17", beside(`,"i\u017fs":"x"`), malformed},
		{"Caps inside", "CLM-17", nested(`,"Caps":["a"]`), malformed},
		{"Wascap", "CLM-17", `{` + ids + `,"Wascap":{"hash":"$H"}}`, malformed},
	}
}

func badClaims() []tokenCase {
	return []tokenCase{
		{"exp is text", "CLM-35", beside(`,"exp":"99999999999"`), malformed},
		{"exp is null", "CLM-35", beside(`,"exp":null`), malformed},
		{"exp is negative", "CLM-35", beside(`,"exp":-1`), malformed},
		{"exp is minus zero", "CLM-35", beside(`,"exp":-0`), malformed},
		{"exp has a fraction", "CLM-35", beside(`,"exp":99999999999.5`), malformed},
		{"exp has an exponent", "CLM-35", beside(`,"exp":1e11`), malformed},
		{"exp is in the year 10000", "CLM-36", beside(`,"exp":253402300800`), malformed},
		{"exp is 2^64", "CLM-36", beside(`,"exp":18446744073709551616`), malformed},
		{"exp has a leading zero", "CLM-15", beside(`,"exp":099999999999`), malformed},
		{"exp has a plus", "CLM-15", beside(`,"exp":+1`), malformed},
		{"nbf is true", "CLM-35", beside(`,"nbf":true`), malformed},
		{"iat is text", "CLM-35", `{"jti":"x","iat":"1","iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"aud", "CLM-21", beside(`,"aud":"x"`), malformed},
		{"wascap is a list", "CLM-35", `{` + ids + `,"wascap":[]}`, malformed},
		{"wascap is null, flat beside", "CLM-35", `{` + ids + `,"wascap":null,"hash":"$H"}`, malformed},
		{"caps is text", "CLM-35", nested(`,"caps":"a"`), malformed},
		{"caps is null", "CLM-35", nested(`,"caps":null`), malformed},
		{"caps holds a number", "CLM-35", nested(`,"caps":[1]`), malformed},
		{"caps holds an empty text", "CLM-38", nested(`,"caps":[""]`), malformed},
		{"tags is an object", "CLM-35", nested(`,"tags":{}`), malformed},
		{"prov is a number", "CLM-35", nested(`,"prov":1`), malformed},
		{"rev is negative", "CLM-35", nested(`,"rev":-1`), malformed},
		{"rev is 2^31", "CLM-36", nested(`,"rev":2147483648`), malformed},
		{"name is null", "CLM-35", nested(`,"name":null`), malformed},
		{"revision 1", "CLM-37", beside(`,"wascap_revision":1`), unsupported},
		{"revision 4", "CLM-37", beside(`,"wascap_revision":4`), unsupported},
		{"caps beside wascap", "CLM-33", beside(`,"caps":["a"]`), malformed},
		{"hash beside wascap", "CLM-33", `{` + ids + `,"hash":"$H","wascap":{}}`, malformed},
		{"no hash", "CLM-31", `{` + ids + `,"wascap":{}}`, malformed},
		{"no hash, flat", "CLM-31", `{` + ids + `,"caps":[]}`, malformed},
		{"hash in lower case", "CLM-59", `{` + ids + `,"wascap":{"hash":"` + strings.Repeat("a", 64) + `"}}`, malformed},
		{"short hash", "CLM-59", `{` + ids + `,"wascap":{"hash":"AB"}}`, malformed},
		{"other hash", "CLM-59", `{` + ids + `,"wascap":{"hash":"` + strings.Repeat("A", 64) + `"}}`, "hash"},
		{"expired", "CLM-61", beside(`,"exp":0`), "expired"},
		{"not yet valid", "CLM-61", beside(`,"nbf":253402300799`), "not-yet-valid"},

		{"no jti", "CLM-31", `{"iat":1,"iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"no iat", "CLM-31", `{"jti":"x","iss":"$A","sub":"$M",` + wrap + `}`, malformed},
		{"no iss", "CLM-31", `{"jti":"x","iat":1,"sub":"$M",` + wrap + `}`, malformed},
		{"no sub", "CLM-31", `{"jti":"x","iat":1,"iss":"$A",` + wrap + `}`, malformed},
		{"sub is no key", "CLM-40", `{"jti":"x","iat":1,"iss":"$A","sub":"test.wasm",` + wrap + `}`, malformed},
		{"iss is no key", "CLM-40", `{"jti":"x","iat":1,"iss":"","sub":"$M",` + wrap + `}`, malformed},
		{"iss is a module", "CLM-39", `{"jti":"x","iat":1,"iss":"$M","sub":"$M",` + wrap + `}`, keyKind},
		{"iss is an operator", "CLM-39", `{"jti":"x","iat":1,"iss":"$O","sub":"$M",` + wrap + `}`, keyKind},
		{"sub is a server", "CLM-40", `{"jti":"x","iat":1,"iss":"$A","sub":"$N",` + wrap + `}`, keyKind},
		{"signed by another", "CLM-18", `{"jti":"x","iat":1,"iss":"$B","sub":"$M",` + wrap + `}`, "signature"},
	}
}

// tokenVectors are the tokens of accounts and operators.
func (c *claims) tokenVectors() []vectors.Verify {
	const vouch = `{"jti":"x","iat":1,"iss":"$O"`
	var list []vectors.Verify
	for _, t := range []tokenCase{
		{"account", "CLM-70 CLM-71", vouch + `,"sub":"$A","wascap":{"name":"a","valid_signers":["$B"]}}`, ok},
		{"account of the original tools", "CLM-41", vouch + `,"sub":"$A","wascap":{"name":null,"valid_signers":null},"wascap_revision":3}`, ok},
		{"operator", "CLM-71", vouch + `,"sub":"$O","wascap":{"valid_signers":["$P"]}}`, ok},
		{"operator of an operator", "CLM-70", vouch + `,"sub":"$P","wascap":{}}`, ok},
		{"expired account", "CLM-61", vouch + `,"sub":"$A","exp":1,"wascap":{}}`, "expired"},
		{"account without wascap", "CLM-32", vouch + `,"sub":"$A"}`, malformed},
		{"account with flat keys", "CLM-33", vouch + `,"sub":"$A","caps":["a"],"wascap":{}}`, malformed},
		{"account with a module's key", "CLM-71", vouch + `,"sub":"$A","wascap":{"valid_signers":["$M"]}}`, keyKind},
		{"account with an operator's key", "CLM-71", vouch + `,"sub":"$A","wascap":{"valid_signers":["$O"]}}`, keyKind},
		{"operator with an account's key", "CLM-71", vouch + `,"sub":"$O","wascap":{"valid_signers":["$A"]}}`, keyKind},
		{"signer is no key", "CLM-71", vouch + `,"sub":"$A","wascap":{"valid_signers":["A"]}}`, malformed},
		{"signers in another case", "CLM-17", vouch + `,"sub":"$A","wascap":{"Valid_Signers":[]}}`, malformed},
		{"account of an account", "CLM-70", `{"jti":"x","iat":1,"iss":"$A","sub":"$B","wascap":{}}`, keyKind},
		{"signed by another", "CLM-18", `{"jti":"x","iat":1,"iss":"$P","sub":"$A","wascap":{}}`, "signature"},
	} {
		payload := placeholders.Replace(t.text)
		v := vectors.Verify{Vector: vector("token: "+t.name, t.rules), Token: sign(goodHeader, payload, operator), At: noon, Result: t.want}
		if t.want == ok {
			v.Claims = c.read(payload)
		}
		list = append(list, v)
	}
	return list
}
