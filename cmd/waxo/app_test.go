package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	canceled := fmt.Errorf("build: %w", context.Canceled)
	for _, test := range []struct {
		err         error
		interrupted bool
		status      int
		said        string
	}{
		{nil, false, exitOK, ""},
		{errors.New("no"), false, exitFailure, "waxo: no\n"},
		{usageError{errors.New("how")}, false, exitUsage, "waxo: how\n"},
		{canceled, false, exitFailure, "waxo: build: context canceled\n"}, // a termination
		{nil, true, exitInterrupted, ""},
		{canceled, true, exitInterrupted, ""},
		{errors.New("a request was cut off"), true, exitInterrupted, "waxo: a request was cut off\n"},
	} {
		var said bytes.Buffer
		a := &app{err: &said}
		a.interrupted.Store(test.interrupted)
		if status := a.status(test.err); status != test.status || said.String() != test.said {
			t.Errorf("%v, interrupted %v: %d %q, want %d %q", test.err, test.interrupted, status, said.String(), test.status, test.said)
		}
	}
}

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
