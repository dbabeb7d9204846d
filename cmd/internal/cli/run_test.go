package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/wascap"
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

// TestThrowawayKeysChangeBindingsWithEmbeddedServersAlone: a program that has none
// binds every module in the same way.
func TestThrowawayKeysChangeBindingsWithEmbeddedServersAlone(t *testing.T) {
	for _, test := range []struct {
		emulators connect.Emulators
		tags      []string
		want      string
	}{
		{nil, nil, manifest.ProviderURL},
		{nil, []string{wascap.DevTag}, manifest.ProviderURL},
		{embeds, nil, manifest.ProviderURL},
		{embeds, []string{wascap.DevTag}, manifest.ProviderEmbedded},
	} {
		a := &App{Emulators: test.emulators, Lookup: func(string) (string, bool) { return "", false }}
		p := &plan{claims: &wascap.Claims{Tags: test.tags}, capabilities: []string{capability.KeyValue}}
		if err := a.specs(&cobra.Command{}, &runFlags{}, nil, p); err != nil {
			t.Fatal(err)
		}
		if len(p.specs) != 1 || p.specs[0].Provider != test.want || (test.want == manifest.ProviderURL) != (p.specs[0].URL == keyvalue.DefaultURL) {
			t.Errorf("embedded servers %t, tags %q: %+v", test.emulators != nil, test.tags, p.specs)
		}
	}
}

// embeds has embedded servers, and starts none.
func embeds(context.Context, string, string, *slog.Logger) (connect.Emulator, error) {
	return nil, errors.New("nothing is started here")
}

// TestHelpIsTrueForTheProgram: what it says of embedded servers, and how it is called.
func TestHelpIsTrueForTheProgram(t *testing.T) {
	for called, emulators := range map[string]connect.Emulators{"waxo run": embeds, "waxo-host": nil} {
		cmd := (&App{Emulators: emulators}).RunCommand(called)
		help := cmd.Long + cmd.Example + cmd.Flags().FlagUsages()
		for text, want := range map[string]bool{
			"they and S3 are servers in this process, in memory\nonly.\n\nProviders": emulators != nil,
			"or =embedded":                   emulators != nil,
			"no servers in this process":     emulators == nil,
			"  " + called + " hello.wasm --": true,
			"%!":                             false,
		} {
			if strings.Contains(help, text) != want {
				t.Errorf("the help of %s says %q: %t, want %t", called, text, !want, want)
			}
		}
		if use, _, _ := strings.Cut(cmd.Use, " "); !strings.HasSuffix(called, use) || cmd.Use != use+" MODULE" {
			t.Errorf("the usage of %s is %q", called, cmd.Use)
		}
	}
}
