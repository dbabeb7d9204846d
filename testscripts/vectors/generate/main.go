// Command generate writes the files of testscripts/vectors. It is run there.
//
// It encodes keys, tokens, sections, payloads and guests by itself, or with the
// libraries of others, and not with the packages that the files are held against.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

func main() {
	all, err := generate("../../capability/proto", "../../wascap/testdata/real-claims.txt")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for name, content := range all {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// generate makes the files by their names.
func generate(protos, real string) (map[string][]byte, error) {
	c := &claims{}
	messages, err := messageVectors(protos)
	if err != nil {
		return nil, err
	}
	tokens, err := realVectors(real)
	if err != nil {
		return nil, err
	}
	sequences, err := sequenceVectors()
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	for name, list := range map[string]any{
		vectors.KeysFile:     keyVectors(),
		vectors.SignFile:     c.signVectors(),
		vectors.VerifyFile:   c.verifyVectors(),
		vectors.RealFile:     tokens,
		vectors.MessagesFile: messages,
		vectors.DecodeFile:   decodeVectors(),
		vectors.ModulesFile:  moduleVectors(),
		vectors.CallsFile:    sequences,
		vectors.SpellFile:    spellVectors(),
		vectors.ResolveFile:  resolveVectors(),
	} {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(list); err != nil {
			return nil, err
		}
		all[name] = b.Bytes()
	}
	return all, c.err
}

// vector is what all vectors begin with. Rules stand with spaces between.
func vector(name, rules string) vectors.Vector {
	return vectors.Vector{Name: name, Rules: fields(rules)}
}
