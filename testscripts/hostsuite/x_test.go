package hostsuite_test

import (
	"os"
	"regexp"
	"testing"
	"time"
	"fmt"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/testscripts/report"
)

func TestX(t *testing.T) {
	for range 2 {
		r, err := hostsuite.Run(t.Context(), &hostsuite.Options{
			Command: []string{"/tmp/h-host/waxo", "run", "{module}", "--cache", "/tmp/h-host/cache"},
			Env:     os.Environ(), Timeout: 20 * time.Second, Match: regexp.MustCompile(os.Getenv("X")),
		})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(r.Took)
		for _, c := range r.Checks {
			if c.Took > 2*time.Second {
				fmt.Println(c.Name, c.Took)
			}
			if c.Status == report.Fail || c.Status == report.Warn {
				t.Error(c.Name, c.Message, c.Log)
			}
		}
	}
}
