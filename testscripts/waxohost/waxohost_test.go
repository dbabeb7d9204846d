package waxohost_test

import (
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/waxohost"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	engine, err := waxohost.New()
	if err != nil {
		t.Fatal(err)
	}
	r, err := hostsuite.Run(t.Context(), &hostsuite.Options{Engine: engine, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range r.Checks {
		if c.Status == report.Fail || c.Status == report.Warn {
			c.Text(t.Output())
			t.Errorf("%s: %s", c.Name, c.Message)
		}
	}
	t.Logf("%d of %d checks passed, in %v", r.Count(report.Pass), len(r.Checks), r.Took)
}
