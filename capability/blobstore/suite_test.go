package blobstore_test

import (
	"context"
	"flag"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/testscripts/parity"
)

var other = flag.String("s3", "", "the `URL` of another S3 server, to be compared with the embedded one")

// TestSuite: the provider does what is asked of every provider, and answers the
// same, byte by byte, whatever is behind it.
func TestSuite(t *testing.T) {
	targets := map[string]string{"embedded": start(t, nil).URL()}
	if *other != "" {
		targets["other"] = *other
	}
	all := make(map[string][]parity.Result)
	for name, url := range targets {
		results, err := parity.Blobstore().Run(t.Context(), parity.Target{
			Name: name, Provider: blobstore.New(nil), Config: map[string]string{"url": url}, Exact: true,
			Open: func(context.Context) (capability.Provider, error) { return blobstore.New(nil), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Skipped != "" {
				t.Errorf("%s is skipped: %s", r.Case, r.Skipped)
			}
			for _, f := range r.Failures {
				t.Errorf("%s: %s: %.1000s", name, r.Case, f)
			}
		}
		all[name] = results
	}
	if *other == "" {
		return
	}
	for _, d := range parity.Compare(all["embedded"], all["other"]) {
		t.Error(d)
	}
}
