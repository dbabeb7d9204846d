package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// probesOff is the value of --probes that leaves the host's own answers out.
const probesOff = "off"

// maxModule bounds --live-update-size: a module is held in memory.
const maxModule = 1 << 30

// ProbeFlags say where a host answers itself on the guest's port.
type ProbeFlags struct{ path string }

// Add adds them to a command.
func (f *ProbeFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.path, "probes", "/", "path that the host's own answers, healthz and id, are below; off leaves them to the guest")
}

// Check refuses what is no path.
func (f *ProbeFlags) Check() error {
	if f.path == probesOff {
		return nil
	}
	if err := admin.CheckPath(f.path); err != nil {
		return usageError{fmt.Errorf("--probes: %w, or off", err)}
	}
	return nil
}

// Endpoints are the host's own answers.
func (f *ProbeFlags) Endpoints(opts *admin.Options) (*admin.Endpoints, error) {
	if f.path != probesOff {
		opts.Path = f.path
	}
	return admin.New(opts)
}

// Wrap puts them in front of a guest.
func (f *ProbeFlags) Wrap(own *admin.Endpoints, guest http.Handler) http.Handler {
	if f.path == probesOff {
		return guest
	}
	return own.Wrap(guest)
}

// updateFlags say which modules may take the place of the one that runs.
type updateFlags struct {
	on   bool
	size string
}

func (f *updateFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.on, "live-update", false, "let POST /liveupdate replace the module by one of the same key, signed by its issuer or an account of --trust")
	cmd.Flags().StringVar(&f.size, "live-update-size", "64MiB", "size of a module that is sent so")
	cmd.Flags().Lookup("trust").Usage = "public key of an account whose plugins are run, and whose modules --live-update takes in; may be repeated"
}

// bytes is the size as a number.
func (f *updateFlags) bytes() (int64, error) {
	n, err := manifest.ParseSize(f.size)
	if err == nil && (n < 1 || n > maxModule) {
		err = fmt.Errorf("%q is out of range; take up to 1GiB", f.size)
	}
	if err != nil {
		return 0, usageError{fmt.Errorf("--live-update-size: %w", err)}
	}
	return n, nil
}

// updates are the rules for live update; nil where it is off. Whoever signed what
// was started is trusted with what follows it.
func (f *runFlags) updates(p *plan) (*devhost.Updates, error) {
	switch {
	case !f.update.on:
		return nil, nil
	case f.probes.path == probesOff:
		return nil, usageError{errors.New("--live-update needs a path to send modules to: leave --probes off out")}
	case !slices.Contains(p.capabilities, capability.HTTPServer):
		return nil, usageError{fmt.Errorf("--live-update needs the HTTP server to send modules to, and the module's claims do not grant %s", capability.HTTPServer)}
	}
	return &devhost.Updates{
		Trust: append([]string{p.claims.Issuer}, f.plugins.Trust...),
		Grant: p.claims.Capabilities,
	}, nil
}
