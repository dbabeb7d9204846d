package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/wascap"
)

func (a *app) signCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sign",
		Short:   "Sign provider plugins",
		Example: "  waxo sign provider plugins/kv --capability acme:kv --vendor Acme --account-key account.nk --provider-key kv.nk",
		Args:    cli.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.signProviderCommand())
	return cmd
}

// signProviderFlags are the flags of waxo sign provider.
type signProviderFlags struct {
	capability, vendor, name, version string
	revision                          int
	account, provider, output         string
	targets                           []string
	expires                           time.Duration
}

func (a *app) signProviderCommand() *cobra.Command {
	f := &signProviderFlags{}
	cmd := &cobra.Command{
		Use:   "provider FILE",
		Short: "Sign a provider plugin",
		Long: `Write a provider plugin's claims into FILE.jwt, beside the plugin, signed by an
account: the capability that it offers, who made it, and the hash of the file. A
host runs the plugin only where they hold, so sign again whenever it changes.

FILE is the plugin for this platform. --target adds those for others, under the
platform's name in the claims; then the one file of claims serves them all.

The provider's own key names it from one version to the next. Without
--provider-key it gets one that is thrown away.`,
		Example: "  waxo sign provider plugins/kv --capability acme:kv --vendor Acme --account-key account.nk --provider-key kv.nk\n" +
			"  waxo sign provider kv --capability acme:kv --vendor Acme --account-key account.nk --target aarch64-macos=kv-mac",
		Args: cli.Args(cobra.ExactArgs(1)),
	}
	cmd.Flags().StringVar(&f.capability, "capability", "", "what the plugin offers, such as wascap:keyvalue or acme:search")
	cmd.Flags().StringVar(&f.vendor, "vendor", "", "who made it")
	cmd.Flags().StringVar(&f.name, "name", "", "its name, for people")
	cmd.Flags().StringVar(&f.version, "version", "", "its version, for people")
	cmd.Flags().IntVar(&f.revision, "revision", 0, "a number that grows with each release")
	cmd.Flags().StringVar(&f.account, "account-key", "", "file with the seed of the account that signs")
	cmd.Flags().StringVar(&f.provider, "provider-key", "", "file with the seed of the provider's own key, of the kind service")
	cmd.Flags().StringArrayVar(&f.targets, "target", nil, "ARCH-OS=FILE: the plugin for another platform; may be repeated")
	cmd.Flags().DurationVar(&f.expires, "expires", 0, "how long the claims hold, such as 8760h; default: for ever")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "file to write; default: FILE.jwt")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.signProvider(cmd, f, args[0]) }
	return cmd
}

func (a *app) signProvider(cmd *cobra.Command, f *signProviderFlags, file string) error {
	if f.capability == "" || f.vendor == "" || f.account == "" {
		return cli.Usage(errors.New("--capability, --vendor and --account-key are needed: what it offers, who made it, and who vouches for it"))
	}
	if err := manifest.CheckCapability(f.capability); err != nil {
		return cli.Usage(fmt.Errorf("--capability: %w", err))
	}
	account, err := project.ReadKey(f.account, wascap.Account)
	if err != nil {
		return err
	}
	defer account.Wipe()
	subject, err := f.subject()
	if err != nil {
		return err
	}
	hashes, err := f.hashes(file)
	if err != nil {
		return err
	}
	claims := wascap.Claims{
		Subject: subject, Name: f.name, CapabilityID: f.capability, Vendor: f.vendor, Version: f.version, Revision: f.revision, TargetHashes: hashes,
	}
	if f.expires > 0 {
		claims.Expires = time.Now().Add(f.expires).Truncate(time.Second)
	}
	token, err := wascap.SignToken(claims, account, nil)
	if err != nil {
		return cli.Plainly(err)
	}
	output := f.output
	if output == "" {
		output = file + plugin.ClaimsSuffix
	}
	if err := project.WriteFile(output, []byte(token+"\n"), 0o644); err != nil {
		return err
	}
	if cli.Quiet(cmd) {
		return nil
	}
	_, err = fmt.Fprintf(a.Out, "%s: signed %s for %s by %s\n", output, f.capability, strings.Join(targetsOf(hashes), ", "), account.PublicKey())
	return err
}

// subject is the public key that names the provider.
func (f *signProviderFlags) subject() (string, error) {
	if f.provider == "" {
		key, err := wascap.Generate(wascap.Service)
		if err != nil {
			return "", err
		}
		defer key.Wipe()
		return key.PublicKey().String(), nil
	}
	key, err := project.ReadKey(f.provider, wascap.Service)
	if err != nil {
		return "", err
	}
	defer key.Wipe()
	return key.PublicKey().String(), nil
}

// hashes are those of the plugin's files by platform.
func (f *signProviderFlags) hashes(file string) (map[string]string, error) {
	files := map[string]string{thisTarget(): file}
	for _, text := range f.targets {
		target, name, ok := strings.Cut(text, "=")
		if arch, system, parts := strings.Cut(target, "-"); !ok || !parts || arch == "" || system == "" || name == "" {
			return nil, cli.Usage(fmt.Errorf("--target %q: write ARCH-OS=FILE, such as aarch64-linux=kv-arm", text))
		}
		if files[target] != "" {
			return nil, cli.Usage(fmt.Errorf("--target names %s twice: FILE itself is for %s", target, thisTarget()))
		}
		files[target] = name
	}
	hashes := make(map[string]string)
	for target, name := range files {
		sum, err := hashFile(name)
		if err != nil {
			return nil, err
		}
		hashes[target] = fmt.Sprintf("%X", sum)
	}
	return hashes, nil
}

// thisTarget is this platform as claims name it.
func thisTarget() string { return wascap.Target(runtime.GOOS, runtime.GOARCH) }

func hashFile(name string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// isProviderClaims tells whether a file's name is that of a plugin's claims.
func isProviderClaims(name string) bool { return filepath.Ext(name) == plugin.ClaimsSuffix }

// isPlugin tells whether a file is a plugin's claims, or has some beside it.
func isPlugin(name string) bool {
	if isProviderClaims(name) {
		return true
	}
	_, err := os.Stat(name + plugin.ClaimsSuffix)
	return err == nil
}
