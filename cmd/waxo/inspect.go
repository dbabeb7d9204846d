package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// inspectResult is what waxo inspect says of a module.
type inspectResult struct {
	File    string       `json:"file"`
	Bytes   int          `json:"bytes"`
	Imports []string     `json:"imports"` // "module.name", in the order of the module
	Valid   bool         `json:"valid"`   // the claims hold now
	Problem string       `json:"problem,omitempty"`
	Claims  *claimsTable `json:"claims,omitempty"` // absent where the module has none that can be read
}

// claimsTable is claims as people and programs read them.
type claimsTable struct {
	Name         string     `json:"name"`
	Version      string     `json:"version,omitempty"`
	Revision     int        `json:"revision,omitempty"`
	Module       string     `json:"module"` // the module's public key
	Issuer       string     `json:"issuer"` // the account's public key
	Capabilities []string   `json:"capabilities"`
	Tags         []string   `json:"tags"`
	Issued       *time.Time `json:"issued,omitempty"`
	NotBefore    *time.Time `json:"not_before,omitempty"`
	Expires      *time.Time `json:"expires,omitempty"`
	Hash         string     `json:"hash"` // SHA-256 of the module without its claims
	ID           string     `json:"id"`
	Throwaway    bool       `json:"throwaway"` // signed with the keys of waxo dev
}

func (a *app) inspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show a module's claims, keys and imports, or a plugin's claims",
		Long: `Show a module's claims, keys and imports, whether the claims hold or not: what
is wrong with them is shown beside them. Of a provider plugin, name the file of
its claims, which ends in .jwt. To decide by the status, use verify.`,
		Example: "  waxo inspect hello.wasm\n  waxo inspect -o json hello.wasm\n  waxo inspect plugins/kv.jwt",
		Args:    cli.Args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if isProviderClaims(args[0]) {
			return a.inspectProvider(args[0], *format)
		}
		module, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		result, err := inspect(args[0], module, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if *format == "json" {
			return writeJSON(a.Out, result)
		}
		return result.table(a.Out)
	}
	return cmd
}

func inspect(file string, module []byte, at time.Time) (*inspectResult, error) {
	imports, err := wasm.Imports(module)
	if err != nil {
		return nil, err
	}
	r := &inspectResult{File: file, Bytes: len(module), Imports: []string{}}
	for _, i := range imports {
		r.Imports = append(r.Imports, i.Module+"."+i.Name)
	}
	token, err := wascap.Verify(module, at)
	if err == nil {
		r.Valid, r.Claims = true, describeClaims(&token.Claims)
		return r, nil
	}
	r.Problem = cli.Plainly(err).Error()
	if token, err := wascap.Extract(module); err == nil {
		r.Claims = describeClaims(&token.Claims)
	}
	return r, nil
}

func describeClaims(c *wascap.Claims) *claimsTable {
	when := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	return &claimsTable{
		Name: c.Name, Version: c.Version, Revision: c.Revision, Module: c.Subject, Issuer: c.Issuer,
		Capabilities: append([]string{}, c.Capabilities...), Tags: append([]string{}, c.Tags...),
		Issued: when(c.IssuedAt), NotBefore: when(c.NotBefore), Expires: when(c.Expires),
		Hash: c.Hash, ID: c.ID, Throwaway: c.HasTag(wascap.DevTag),
	}
}

func (r *inspectResult) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, values ...string) {
		shown := make([]string, len(values))
		for i, v := range values {
			shown[i] = printable.Line(v) // they are the module's author's
		}
		if value := strings.Join(shown, "\n\t"); value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	row("file", fmt.Sprintf("%s (%d bytes)", r.File, r.Bytes))
	if r.Valid {
		row("claims", "they hold")
	} else {
		row("claims", r.Problem)
	}
	if c := r.Claims; c != nil {
		row("name", strings.TrimSpace(c.Name+" "+c.Version))
		if c.Revision != 0 {
			row("revision", fmt.Sprint(c.Revision))
		}
		row("module", c.Module)
		row("issuer", c.Issuer)
		row("capabilities", c.Capabilities...)
		row("tags", strings.Join(c.Tags, " "))
		row("issued", moment(c.Issued))
		row("not before", moment(c.NotBefore))
		row("expires", moment(c.Expires))
		row("hash", c.Hash)
	}
	row("imports", r.Imports...)
	return t.Flush()
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}
