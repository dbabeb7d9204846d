package messaging_test

import (
	"context"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// TestSuite: the provider does what is asked of every provider, and answers the
// same, byte by byte, each time.
func TestSuite(t *testing.T) {
	url := start(t, nil).URL()
	var all [][]parity.Result
	for range 2 {
		results, err := parity.Messaging().Run(t.Context(), parity.Target{
			Name: "embedded", Provider: messaging.New(nil), Config: map[string]string{"url": url}, Exact: true,
			Open: func(context.Context) (capability.Provider, error) { return messaging.New(nil), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Skipped != "" {
				t.Errorf("%s is skipped: %s", r.Case, r.Skipped)
			}
			for _, f := range r.Failures {
				t.Errorf("%s: %s", r.Case, f)
			}
		}
		all = append(all, results)
	}
	for _, d := range parity.Compare(all[0], all[1]) {
		t.Error(d)
	}
}
