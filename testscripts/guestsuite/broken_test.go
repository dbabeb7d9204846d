package guestsuite_test

import (
	"os"
	"testing"

	"github.com/waxosuit/waxo/testscripts/wat"
)

// claimed is what the guest of base.wat claims.
var claimed = []string{"wascap:http_server", "wascap:keyvalue", "wascap:logging", "wascap:messaging"}

func TestBase(t *testing.T) {
	text, err := os.ReadFile("testdata/base.wat")
	if err != nil {
		t.Fatal(err)
	}
	module, err := wat.Assemble(string(text))
	if err != nil {
		t.Fatal(err)
	}
	passes(t, sign(t, module, claimed...))
}
