// Package vectors holds the test vectors of the protocol: what a host, an SDK for
// guests, a provider or a signer can be held to without Go. README.md says what
// the files hold; this package is the same for programs in Go.
//
// Nothing in the files was taken from the implementation that they are run
// against here. What must come out stands in tables of the generator, in package
// generate, which encodes claims, payloads and guests by itself.
package vectors

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
)

//go:generate go run ./generate

//go:embed claims/*.json payloads/*.json calls/*.json capabilities/*.json
var files embed.FS

// The files.
const (
	KeysFile     = "claims/keys.json"
	SignFile     = "claims/sign.json"
	VerifyFile   = "claims/verify.json"
	RealFile     = "claims/real.json"
	MessagesFile = "payloads/messages.json"
	DecodeFile   = "payloads/decode.json"
	ModulesFile  = "calls/modules.json"
	CallsFile    = "calls/calls.json"
	SpellFile    = "capabilities/spell.json"
	ResolveFile  = "capabilities/resolve.json"
)

// Vector is what all vectors have.
type Vector struct {
	Name  string   `json:"name"`
	Rules []string `json:"rules"` // of docs/protocol.md, that it shows
}

// Load reads a file. It is an error where that holds nothing, or a field that V
// does not have: the sets of both are closed.
func Load[V any](file string) ([]V, error) {
	data, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	list, err := parse[V](data)
	if err != nil {
		return nil, fmt.Errorf("vectors: %s: %w", file, err)
	}
	return list, nil
}

func parse[V any](data []byte) ([]V, error) {
	var list []V
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, err
	}
	if len(list) == 0 || decoder.More() {
		return nil, fmt.Errorf("it holds %d vectors, or more after them", len(list))
	}
	return list, nil
}

// Files reads of every file the names and the rules of its vectors, without the
// rest.
func Files() (map[string][]Vector, error) {
	all := make(map[string][]Vector)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		var list []Vector
		if err := json.Unmarshal(data, &list); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all[name] = list
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	return all, nil
}
