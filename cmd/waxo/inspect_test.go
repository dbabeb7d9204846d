package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestInspectDoesNotSteerTheTerminal(t *testing.T) {
	const evil = "x\x1b]0;owned\x07\nclaims  they hold"
	r := &inspectResult{File: evil, Problem: evil, Imports: []string{"a.b", evil}, Claims: &claimsTable{Name: evil, Tags: []string{evil}, Capabilities: []string{evil}}}
	var table bytes.Buffer
	if err := r.table(&table); err != nil {
		t.Fatal(err)
	}
	if got := table.String(); strings.ContainsAny(got, "\x1b\x07") || strings.Contains(got, "\nclaims  they hold") {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(table.String(), "imports       a.b\n              x") {
		t.Errorf("a list is not one item a line:\n%s", table.String())
	}
}
