//go:build !race

package hostsuite_test

import (
	"path/filepath"
	"testing"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
)

const raceEnabled = false

// TestWaxoHost is not for the race detector, which sees the same code in waxo run.
func TestWaxoHost(t *testing.T) {
	t.Parallel()
	host, err := program("waxo-host")
	if err != nil {
		t.Fatal(err)
	}
	check(t, &hostsuite.Options{
		Command: []string{host, "{module}", "--live-update", "--cache", filepath.Join(built, "host-cache")},
	}, "library", "no liveupdate")
}
