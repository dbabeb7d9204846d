package hostsuite

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// keys are the throwaway keys of a run, by the names that scripts give them.
type keys struct {
	mu  sync.Mutex
	all map[string]*wascap.KeyPair
}

// get returns a key, and makes it on its first use.
func (k *keys) get(kind wascap.Kind, name string) (*wascap.KeyPair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := kind.String() + " " + name
	if key := k.all[id]; key != nil {
		return key, nil
	}
	key, err := wascap.Generate(kind)
	if err != nil {
		return nil, err
	}
	if k.all == nil {
		k.all = make(map[string]*wascap.KeyPair)
	}
	k.all[id] = key
	return key, nil
}

// The names of the keys that are used where a script does not say which.
const (
	usualAccount = "account"
	usualModule  = "module"
)

// signing is how a module is signed.
type signing struct {
	account, module    string // names of keys
	caps, tags         []string
	name               string
	revision           int
	expires, notBefore time.Duration // from now; 0: none
}

// usual is the signing of a guest that serves HTTP, with further capabilities.
func usual(caps ...string) *signing {
	return &signing{account: usualAccount, module: usualModule, name: "probe", caps: append([]string{capability.HTTPServer}, caps...)}
}

// sign signs a module in the way that the standard asks for.
func (k *keys) sign(module []byte, s *signing) ([]byte, error) {
	account, err := k.get(wascap.Account, s.account)
	if err != nil {
		return nil, err
	}
	key, err := k.get(wascap.Module, s.module)
	if err != nil {
		return nil, err
	}
	c := wascap.Claims{Subject: key.PublicKey().String(), Name: s.name, Capabilities: s.caps, Tags: s.tags, Revision: s.revision}
	if s.expires != 0 {
		c.Expires = time.Now().Add(s.expires)
	}
	if s.notBefore != 0 {
		c.NotBefore = time.Now().Add(s.notBefore)
	}
	return wascap.Sign(module, c, account, nil)
}

// forgery is how a token is made that no signer would make.
type forgery struct {
	issuer  *wascap.KeyPair
	header  string // JSON
	payload string // JSON, with placeholders
	token   string // how the parts are put together
	section string
	padding int // of {padding} in the payload, in bytes
}

const (
	usualHeader = `{"typ":"jwt","alg":"Ed25519"}`
	usualToken  = "{header}.{payload}.{signature}"
	jwtSection  = "jwt"
)

// forge puts a token into a module, in place of the one that it may have.
func (k *keys) forge(module []byte, f *forgery) ([]byte, error) {
	bare, _, err := splitClaims(module)
	if err != nil {
		return nil, err
	}
	payload, err := k.fill(strings.ReplaceAll(f.payload, "{padding}", strings.Repeat("x", f.padding)), bare)
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(f.header)) + "." + encode([]byte(payload))
	signature, err := f.issuer.Sign([]byte(signed))
	if err != nil {
		return nil, err
	}
	token := strings.NewReplacer(
		"{header}", encode([]byte(f.header)), "{payload}", encode([]byte(payload)), "{signature}", encode(signature),
		"{weak}", encode(append([]byte{1}, make([]byte, 63)...)), // holds for the weak key
	).Replace(f.token)
	return appendSection(bare, f.section, []byte(token)), nil
}

var placeholder = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{(hash|now|weak|account|module|operator|service)([+-]\w+)?(?: (\w+))?\}`)
})

// fill replaces the placeholders of claims: {hash}, {now}, {now+1h}, {account},
// {module}, {operator} and {service} with the names of keys, such as {account other},
// and {weak}, an account's key of small order.
func (k *keys) fill(claims string, bare []byte) (string, error) {
	var failed error
	filled := placeholder().ReplaceAllStringFunc(claims, func(text string) string {
		m := placeholder().FindStringSubmatch(text)
		switch m[1] {
		case "hash":
			sum := sha256.Sum256(bare)
			return strings.ToUpper(hex.EncodeToString(sum[:]))
		case "weak":
			return weakKey
		case "now":
			var d time.Duration
			if m[2] != "" {
				if d, failed = time.ParseDuration(m[2]); failed != nil {
					return text
				}
			}
			return strconv.FormatInt(time.Now().Add(d).Unix(), 10)
		}
		name := m[3]
		kind := kindNamed(m[1])
		if name == "" {
			name = m[1]
		}
		key, err := k.get(kind, name)
		if err != nil {
			failed = err
			return text
		}
		return key.PublicKey().String()
	})
	return filled, failed
}

// kindNamed is the kind of a placeholder for a key.
func kindNamed(name string) wascap.Kind {
	for _, kind := range []wascap.Kind{wascap.Account, wascap.Module, wascap.Operator} {
		if kind.String() == name {
			return kind
		}
	}
	return wascap.Service
}

// weakKey is the account's key whose point is the neutral one: that makes the
// signature of that point and 0 right for whatever is signed.
const weakKey = "AAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAARSZ"

// appendSection appends a custom section.
func appendSection(module []byte, name string, content []byte) []byte {
	body := wasm.AppendUint32(nil, uint32(len(name)))
	body = append(append(body, name...), content...)
	b := append(module[:len(module):len(module)], 0)
	b = wasm.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// splitClaims takes the claims' section off the end of a module. claims is nil
// where there is none.
func splitClaims(module []byte) (bare, claims []byte, err error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, nil, fmt.Errorf("the module cannot be read: %w", err)
	}
	if n := len(m.Customs); n > 0 && (m.Customs[n-1].Name == jwtSection || m.Customs[n-1].Name == "wasmcloud_jwt") {
		last := m.Customs[n-1]
		whole := appendSection(nil, last.Name, last.Content)
		at := len(module) - len(whole)
		return module[:at:at], module[at:], nil
	}
	return module, nil, nil
}
