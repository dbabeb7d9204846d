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
