package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFilesAreCurrent holds the files against the tables that they come from.
func TestFilesAreCurrent(t *testing.T) {
	all, err := generate("../../../capability/proto", "../../../wascap/testdata/real-claims.txt")
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob("../*/*.json")
	if err != nil || len(there) != len(all) {
		t.Errorf("there are the files %q, %v, and %d are made", there, err, len(all))
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its tables make: go generate ./testscripts/vectors (%v)", name, err)
		}
	}
}
