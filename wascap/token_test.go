package wascap_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wascap"
)

// TestRealClaims reads tokens of modules that the original tools signed.
func TestRealClaims(t *testing.T) {
	want := map[string]wascap.Claims{
		"kvcounter-2019.wasm": {
			ID: "CSKqkiuHL98nP0cEjxTsCn", IssuedAt: time.Unix(1575561010, 0).UTC(), Form: wascap.Flat,
			Issuer:       "AAGRUXXTGSP4C27RWPTMCHCJF56JD53EQPA2R7RPC5VI4E274KPRMMJ5",
			Subject:      "MASCXFM4R6X63UD5MSCDZYCJNPBVSIU6RKMXUPXRKAOSBQ6UY3VT3NPZ",
			Hash:         "6D8BA4760699172811C0E326AD0A6E3A852C17EF952AB6EF5B7EA5FFAE43F889",
			Capabilities: []string{"wascc:keyvalue", "wascc:http_server"},
		},
		"echo-old.wasm": {
			ID: "i57oLOs3hjjcTRhrmGy7ow", IssuedAt: time.Unix(1583266986, 0).UTC(), Name: "Echo Server",
			Issuer:       "AAGRUXXTGSP4C27RWPTMCHCJF56JD53EQPA2R7RPC5VI4E274KPRMMJ5",
			Subject:      "MB4OLDIC3TCZ4Q4TGGOVAZC43VXFE2JQVRAXQMQFXUCREOOFEKOKZTY2",
			Hash:         "F5502915346A60A6B170080DF989C34BDA9F4337A1564F25F216D7EDF5FA606D",
			Capabilities: []string{"wascc:http_server"},
		},
		"extras.wasm": {
			ID: "yEPQopRQagcS3JdlVj9eRx", IssuedAt: time.Unix(1586451738, 0).UTC(), Name: "Extras Demo",
			Issuer:       "AAGRUXXTGSP4C27RWPTMCHCJF56JD53EQPA2R7RPC5VI4E274KPRMMJ5",
			Subject:      "MDOYAT2KHJ6N5DAY5X7JKGIBMKABTPXRX2KHUJI6APOVNKQDMRTIUSY2",
			Hash:         "318CE71B831E7AB7A18BF465EB8F08CDC99B722CA155BD3DF71F77328B4DBECB",
			Capabilities: []string{"wascc:http_server", "wascc:extras"},
		},
		"subscriber.wasm": {
			ID: "bFsKuaKadmSLHAJGHcLCN4", IssuedAt: time.Unix(1586451758, 0).UTC(), Name: "Subscriber Demo",
			Issuer:       "AAGRUXXTGSP4C27RWPTMCHCJF56JD53EQPA2R7RPC5VI4E274KPRMMJ5",
			Subject:      "MBHRSJORBXAPRCALK6EKOBBCNAPMRTM6ODLXNLOV5TKPDMPXMTCMR4DW",
			Hash:         "702560D33FC8DA3FEF4C1E6443C652EA492942BBC784BE00FD23021273BE1F83",
			Capabilities: []string{"wascc:messaging"},
		},
		"wascap-logger.wasm": {
			ID: "fwnesS3Gqf9qHLtaYHx0pS", IssuedAt: time.Unix(1613572405, 0).UTC(), Name: "Logger",
			Issuer:       "ACOJJN6WUP4ODD75XEBKKTCCUJJCY5ZKQ56XVKYK4BEJWGVAOOQHZMCW",
			Subject:      "MAARQX72EAZ4T4ODYOQZED3FJ6P27KWWVVTUNV6TVX2VBRVVSUKLAQHP",
			Hash:         "7941152C0674229576BBF50D880DF71C0A579FEF9ECEDC5069AC1009D33E81F1",
			Capabilities: []string{"wasmcloud:httpserver", "wasmcloud:logging"}, Revision: 1, Version: "0.1.0",
		},
		"wascap-signed_loop.wasm": {
			ID: "5uHKqDv3gSBAky15mvwuhp", IssuedAt: time.Unix(1590205332, 0).UTC(), Name: "Secure Actor",
			Issuer:       "ACCHS57D3P2VEON5MQCJM4YA34GYBDFZR3IBG5EQNUONIHBO5X4NIURC",
			Subject:      "MBQ2RC3BARXFWTBFW5UJ6J3QSAVYJ7D64Z5LRCPR3UI44F65Q3OMNGYM",
			Hash:         "5C66140DB61ABE7000BAD7BBB7A1F896CE0C0A7879D8AA3C9CAB93DB0A0A1827",
			Capabilities: []string{"wascc:keyvalue", "wascc:messaging", "wascc:http_client", "wascc:http_server"}, Version: "1.0.0",
		},
	}
	file, err := os.ReadFile("testdata/real-claims.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("not file, section, token: %q", line)
		}
		token, err := wascap.ParseToken(fields[2])
		if err != nil {
			t.Errorf("%s: %v", fields[0], err)
			continue
		}
		if err := token.CheckSignature(); err != nil {
			t.Errorf("%s: %v", fields[0], err)
		}
		if w, ok := want[fields[0]]; !ok || !reflect.DeepEqual(token.Claims, w) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", fields[0], token.Claims, w)
		}
		delete(want, fields[0])
		_, err = wascap.Verify(embed(emptyModule, fields[1], fields[2]), noon)
		if reasonOf(t, err) != wascap.ReasonHash {
			t.Errorf("%s around another module: %v", fields[0], err)
		}
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

// tokenCase is a header or a payload and what is wrong with it. In the texts, $A, $B,
// $O, $P, $M, $N and $H stand for two accounts, two operators, a module, a
// server and the hash of emptyModule.
type tokenCase struct {
	name, text string
	want       wascap.Reason
}

func checkCases(t *testing.T, cases []tokenCase, token func(text string, issuer *wascap.KeyPair) string) {
	t.Helper()
	account, operator := fixedKey(t, wascap.Account, "a"), fixedKey(t, wascap.Operator, "o")
	replace := strings.NewReplacer("$A", pub(account), "$B", pub(fixedKey(t, wascap.Account, "b")),
		"$O", pub(operator), "$P", pub(fixedKey(t, wascap.Operator, "p")), "$M", pub(fixedKey(t, wascap.Module, "m")),
		"$N", pub(fixedKey(t, wascap.Server, "n")), "$H", "93A44BBB96C751218E4C00D479E4C14358122A389ACCA16205B1E4D0DC5F9476")
	for _, c := range cases {
		issuer := account
		if strings.Contains(c.text, `"iss":"$O"`) {
			issuer = operator
		}
		text := token(replace.Replace(c.text), issuer)
		var err error
		if strings.Contains(c.text, `"sub":"$M"`) || issuer == account {
			_, err = wascap.Verify(embed(emptyModule, "jwt", text), noon)
		} else {
			_, err = wascap.VerifyToken(text, noon)
		}
		if got := reasonOf(t, err); got != c.want {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

const (
	ok          wascap.Reason = ""
	malformed                 = wascap.ReasonMalformed
	unsupported               = wascap.ReasonUnsupported
	keyKind                   = wascap.ReasonKeyKind
)

func TestHeaders(t *testing.T) {
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
	checkCases(t, cases, func(text string, issuer *wascap.KeyPair) string {
		return forge(t, text, strings.NewReplacer("$A", pub(issuer), "$M", pub(fixedKey(t, wascap.Module, "m")),
			"$H", "93A44BBB96C751218E4C00D479E4C14358122A389ACCA16205B1E4D0DC5F9476").Replace(payload), issuer)
	})
}

func TestPayloads(t *testing.T) {
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
	checkCases(t, cases, func(text string, issuer *wascap.KeyPair) string { return forge(t, goodHeader, text, issuer) })
}

func TestSignToken(t *testing.T) {
	operator, account, second := generate(t, wascap.Operator), generate(t, wascap.Account), generate(t, wascap.Account)
	opts := &wascap.SignOptions{IssuedAt: noon, ID: "id"}
	want := wascap.Claims{Subject: pub(account), Name: "acme", ValidSigners: []string{pub(second)}, Expires: noon.Add(time.Hour)}
	text, err := wascap.SignToken(want, operator, opts)
	if err != nil {
		t.Fatal(err)
	}
	token, err := wascap.VerifyToken(text, noon)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.IssuedAt, want.Issuer = "id", noon, pub(operator)
	if !reflect.DeepEqual(token.Claims, want) || token.String() != text || token.Section != "" || token.Claims.Kind() != wascap.Account {
		t.Errorf("got %+v\nwant %+v", token.Claims, want)
	}
	if again, _ := wascap.SignToken(want, operator, opts); again != text {
		t.Error("the same claims, key and options give another token")
	}
	for i := range text {
		for _, c := range "A.=_-b" {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				if _, err := wascap.VerifyToken(changed, noon); err == nil {
					t.Errorf("accepted with byte %d changed to %c", i, c)
				}
			}
		}
	}
	self, err := wascap.SignToken(wascap.Claims{Subject: pub(operator)}, operator, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := wascap.VerifyToken(self, noon); err != nil || token.Claims.Kind() != wascap.Operator {
		t.Errorf("an operator about itself: %v", err)
	}
}

func TestSignTokenRefuses(t *testing.T) {
	operator, account, module := generate(t, wascap.Operator), generate(t, wascap.Account), generate(t, wascap.Module)
	for want, c := range map[string]struct {
		claims wascap.Claims
		issuer *wascap.KeyPair
	}{
		"call Sign":                  {wascap.Claims{Subject: pub(module)}, account},
		"not a valid key":            {wascap.Claims{}, operator},
		"sign them with":             {wascap.Claims{Subject: pub(account)}, account},
		"what belongs to a module":   {wascap.Claims{Subject: pub(account), Capabilities: []string{"a:b"}}, operator},
		"valid_signers of the kind":  {wascap.Claims{Subject: pub(account), ValidSigners: []string{pub(operator)}}, operator},
		"claims expire before they ": {wascap.Claims{Subject: pub(account), NotBefore: noon, Expires: noon}, operator},
	} {
		if _, err := wascap.SignToken(c.claims, c.issuer, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to contain %q", err, want)
		}
	}
	signed := mustSign(t, smallModule, wascap.Claims{Subject: pub(module)}, account)
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wascap.VerifyToken(token.String(), noon); reasonOf(t, err) != wascap.ReasonKeyKind {
		t.Errorf("a module's token without the module: %v", err)
	}
}
