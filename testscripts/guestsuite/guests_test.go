package guestsuite_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/templates"
	"github.com/waxosuit/waxo/testscripts/guests"
	"github.com/waxosuit/waxo/testscripts/guestsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/wascap"
)

// check runs the suite.
func check(t *testing.T, module []byte, opts *guestsuite.Options) *report.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := guestsuite.Run(ctx, module, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is a report for people.
func text(t *testing.T, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func key(t *testing.T, kind wascap.Kind) *wascap.KeyPair {
	t.Helper()
	k, err := wascap.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign signs a module with claims that name capabilities.
func sign(t *testing.T, module []byte, capabilities ...string) []byte {
	t.Helper()
	claims := wascap.Claims{Name: "guest", Subject: key(t, wascap.Module).PublicKey().String(), Capabilities: capabilities}
	signed, err := wascap.Sign(module, claims, key(t, wascap.Account), nil)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestTemplates(t *testing.T) {
	for _, template := range templates.List() {
		if template.Provider {
			continue
		}
		t.Run(template.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "guest")
			if _, err := templates.Write(dir, template.Name, nil); err != nil {
				t.Fatal(err)
			}
			p, err := project.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			opts := &project.MakeOptions{Account: key(t, wascap.Account), Module: key(t, wascap.Module)}
			made, err := p.Make(t.Context(), build.New(nil), opts)
			if err != nil {
				t.Fatal(err)
			}
			passes(t, made.Signed)
		})
	}
}

func TestOriginalSDK(t *testing.T) {
	passes(t, sign(t, guests.WaxosuitRust(t), capability.HTTPServer, capability.KeyValue))
}

// passes fails the test unless a guest passes the suite and was looked at.
func passes(t *testing.T, module []byte) {
	t.Helper()
	r := check(t, module, nil)
	if !r.OK() || r.Count(report.Pass) < 60 {
		t.Error("it does not pass")
	}
	t.Logf("%s", text(t, r))
}
