package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/wascap"
)

// providerResult is what waxo inspect says of a plugin's claims.
type providerResult struct {
	File    string          `json:"file"`  // of the claims
	Valid   bool            `json:"valid"` // they hold now, for the plugin beside them on this platform
	Problem string          `json:"problem,omitempty"`
	Claims  *providerClaims `json:"claims,omitempty"` // absent where they cannot be read
}

// providerClaims are a provider's claims as people and programs read them.
type providerClaims struct {
	Name       string            `json:"name,omitempty"`
	Version    string            `json:"version,omitempty"`
	Revision   int               `json:"revision,omitempty"`
	Provider   string            `json:"provider"` // the provider's public key
	Issuer     string            `json:"issuer"`   // the account's public key
	Capability string            `json:"capability"`
	Vendor     string            `json:"vendor"`
	Targets    map[string]string `json:"targets"` // SHA-256 of the file by platform
	Issued     *time.Time        `json:"issued,omitempty"`
	NotBefore  *time.Time        `json:"not_before,omitempty"`
	Expires    *time.Time        `json:"expires,omitempty"`
	ID         string            `json:"id"`
}

func describeProvider(c *wascap.Claims) *providerClaims {
	t := describeClaims(c)
	return &providerClaims{
		Name: c.Name, Version: c.Version, Revision: c.Revision, Provider: c.Subject, Issuer: c.Issuer,
		Capability: c.CapabilityID, Vendor: c.Vendor, Targets: c.TargetHashes,
		Issued: t.Issued, NotBefore: t.NotBefore, Expires: t.Expires, ID: c.ID,
	}
}

// readProvider verifies a plugin's claims with the plugin beside them. The token
// is there with an error, too, where it could be read.
func readProvider(file string) (*wascap.Token, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	content := strings.TrimRight(string(text), "\r\n")
	token, err := wascap.ParseToken(content)
	if err != nil {
		return nil, cli.Plainly(err)
	}
	if k := token.Claims.Kind(); k != wascap.Service {
		return nil, fmt.Errorf("the claims are of the kind %s instead of a provider's", k)
	}
	sum, err := hashFile(strings.TrimSuffix(file, plugin.ClaimsSuffix))
	if err != nil {
		return token, fmt.Errorf("the plugin that they are about: %w", err)
	}
	if _, err := wascap.VerifyProvider(content, thisTarget(), sum, time.Now()); err != nil {
		return token, cli.Plainly(err)
	}
	return token, nil
}

func (a *app) inspectProvider(file, format string) error {
	token, err := readProvider(file)
	if token == nil && err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r := &providerResult{File: file, Valid: err == nil, Claims: describeProvider(&token.Claims)}
	if err != nil {
		r.Problem = err.Error()
	}
	if format == "json" {
		return writeJSON(a.Out, r)
	}
	return r.table(a.Out)
}

func (r *providerResult) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, printable.Line(value))
		}
	}
	c := r.Claims
	row("file", r.File)
	if r.Valid {
		row("claims", "they hold")
	} else {
		row("claims", r.Problem)
	}
	row("name", strings.TrimSpace(c.Name+" "+c.Version))
	if c.Revision != 0 {
		row("revision", fmt.Sprint(c.Revision))
	}
	row("provider", c.Provider)
	row("issuer", c.Issuer)
	row("capability", c.Capability)
	row("vendor", c.Vendor)
	row("issued", moment(c.Issued))
	row("not before", moment(c.NotBefore))
	row("expires", moment(c.Expires))
	for _, target := range targetsOf(c.Targets) {
		row(target, c.Targets[target])
	}
	return t.Flush()
}

func targetsOf(hashes map[string]string) []string { return slices.Sorted(maps.Keys(hashes)) }

func (a *app) verifyProvider(cmd *cobra.Command, file, format string) error {
	if !isProviderClaims(file) {
		file += plugin.ClaimsSuffix
	}
	token, err := readProvider(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c := &token.Claims
	if format == "json" {
		return writeJSON(a.Out, describeProvider(c))
	}
	if cli.Quiet(cmd) {
		return nil
	}
	_, err = fmt.Fprintf(a.Out, "%s: the claims hold: %s of %s, signed by %s\n", file, printable.Line(c.CapabilityID), printable.Line(c.Vendor), c.Issuer)
	return err
}
