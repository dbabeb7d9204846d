package cli

import (
	"testing"

	"github.com/spf13/cobra"
)

func TestPortIsTheFlagOrTheEnvironmentOrTheDefault(t *testing.T) {
	for _, test := range []struct {
		flag, env string
		want      int
		ok        bool
	}{
		{"", "", 8080, true},
		{"", "9001", 9001, true},
		{"9002", "9001", 9002, true},
		{"0", "9001", 0, true},
		{"", "many", 0, false},
		{"", "70000", 0, false},
		{"-1", "", 0, false},
	} {
		f := &runFlags{}
		cmd := &cobra.Command{}
		cmd.Flags().IntVar(&f.port, "port", 8080, "")
		if test.flag != "" {
			if err := cmd.Flags().Set("port", test.flag); err != nil {
				t.Fatal(err)
			}
		}
		a := &App{Lookup: func(name string) (string, bool) { return test.env, name == "PORT" && test.env != "" }}
		got, err := a.port(cmd, f)
		if (err == nil) != test.ok || test.ok && got != test.want {
			t.Errorf("--port %q, PORT %q: %d, %v", test.flag, test.env, got, err)
		}
	}
}
