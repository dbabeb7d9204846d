package wapc

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// preparedPuppet is the version of preparation and what the puppet becomes with
// it.
const preparedPuppet = "4 d040e68a0b983bd165b5b628fae754737a056c64eaf378ebdc57f73842effa04"

// TestPreparationHasAVersion: what caches hold of modules was prepared by the
// code of its time. Whoever changes what comes of a module raises preparation,
// and renews what stands here.
func TestPreparationHasAVersion(t *testing.T) {
	module, err := os.ReadFile(filepath.Join("testdata", "puppet8.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare(module, moduleKey{}, false)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, part := range [][]byte{p.code, p.skeleton} {
		h.Write(part)
	}
	for _, s := range p.spans {
		h.Write(s.data)
	}
	if got := fmt.Sprintf("%d %x", preparation, h.Sum(nil)); got != preparedPuppet {
		t.Errorf("the version and what it makes of the puppet are %s, not %s", got, preparedPuppet)
	}
}
