package slim

import (
	"bytes"
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// strip removes custom sections, and of the names all but the functions'.
func strip(m *wasm.Module) Result {
	before := len(m.Customs)
	dropCustoms(m, needless, aboutCode, aboutLayout)
	r := Result{Done: true, changed: len(m.Customs) != before}
	r.Detail = fmt.Sprintf("%s removed", count(before-len(m.Customs), "custom section"))
	for i, c := range m.Customs {
		if c.Name != wasm.NameSection {
			continue
		}
		names, err := wasm.DecodeNames(c.Content)
		if err != nil {
			continue // custom sections may be malformed; nobody reads this one
		}
		names.Locals, names.Labels, names.Rest = nil, nil, nil
		if content := names.Encode(); !bytes.Equal(content, c.Content) {
			m.Customs[i].Content, r.changed = content, true
		}
	}
	return r
}

// needless tells whether nobody who runs a module makes use of a custom
// section.
func needless(name string) bool {
	switch name {
	case "producers", "target_features", "build_id", "go.buildid", "go:buildid":
		return true
	}
	return false
}
