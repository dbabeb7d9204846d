package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
		{nil, false, ExitOK, ""},
		{errors.New("no"), false, ExitFailure, "waxo: no\n"},
		{usageError{errors.New("how")}, false, ExitUsage, "waxo: how\n"},
		{canceled, false, ExitFailure, "waxo: build: context canceled\n"}, // a termination
		{nil, true, ExitInterrupted, ""},
		{canceled, true, ExitInterrupted, ""},
		{errors.New("a request was cut off"), true, ExitInterrupted, "waxo: a request was cut off\n"},
	} {
		var said bytes.Buffer
		a := &App{Name: "waxo", Err: &said}
		a.interrupted.Store(test.interrupted)
		if status := a.status(test.err); status != test.status || said.String() != test.said {
			t.Errorf("%v, interrupted %v: %d %q, want %d %q", test.err, test.interrupted, status, said.String(), test.status, test.said)
		}
	}
}
