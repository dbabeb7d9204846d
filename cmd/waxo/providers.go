package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/control"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/harness/companion"
)

// choice is where the services behind all capabilities of a guest are: embedded,
// container or, for "", where waxo.toml says. It may change at any time.
type choice struct{ value atomic.Value }

// ofManifest is how people name the choice "".
const ofManifest = "manifest"

// choices are what a choice may be, in the order in which a key goes through them.
var choices = []string{"", manifest.ProviderEmbedded, manifest.ProviderContainer}

func (c *choice) get() string {
	v, _ := c.value.Load().(string)
	return v
}

// set refuses what is no choice.
func (c *choice) set(v string) error {
	if slices.Contains(choices, v) {
		c.value.Store(v)
		return nil
	}
	return cli.Usage(fmt.Errorf("there are no providers %q; take embedded, container or %s", v, ofManifest))
}

// move makes another choice, and goes back to the one before where it cannot be
// followed.
func (c *choice) move(v string, follow func() error) error {
	before := c.get()
	if err := c.set(v); err != nil {
		return err
	}
	err := follow()
	if err != nil {
		c.value.Store(before)
	}
	return err
}

// next is the choice after this one.
func (c *choice) next() string {
	for i, v := range choices {
		if v == c.get() {
			return choices[(i+1)%len(choices)]
		}
	}
	return ""
}

// String says what the choice means.
func (c *choice) String() string {
	switch v := c.get(); v {
	case "":
		return "services are where waxo.toml says"
	default:
		return "all services are of the kind: " + v
	}
}

// containers has a companion run real services. With keep they are left to the next
// waxo dev of the project.
func containers(c *companion.Client, p *project.Project, keep bool, log *slog.Logger) connect.Containers {
	return func(ctx context.Context, capability, binding, image string) (connect.Server, error) {
		r := companion.Request{Capability: capability, Image: image}
		if keep {
			r.Reuse = reuseKey(p.Dir(), binding)
		}
		s, err := c.Start(ctx, r)
		if err != nil {
			return nil, err
		}
		if keep {
			return kept{s, log}, nil
		}
		return s, nil
	}
}

// kept is a service that outlives this process.
type kept struct {
	*companion.Service
	log *slog.Logger
}

func (k kept) Close(ctx context.Context) error {
	k.log.Info("left running for the next waxo dev --keep-containers; docker rm -f ends it", "container", k.Name())
	return k.Service.Close(ctx)
}

// reuseKey names the containers of a project's binding.
func reuseKey(dir, binding string) string {
	sum := sha256.Sum256([]byte(dir + "\x00" + binding))
	return hex.EncodeToString(sum[:8])
}

func (a *app) providersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "providers [embedded|container|manifest]",
		Short: "Tell or change where the services of a running waxo dev are",
		Long: `Tell where the services behind all capabilities of the running waxo dev are, or
move them: embedded into waxo, container into containers of the real ones, and
manifest to where each [[bind]] of waxo.toml says. It returns when they are there;
where that fails, the ones before go on. The guest goes on serving. What one kind of
service keeps stays with it.`,
		Example: "  waxo providers container",
		Args:    cli.Args(cobra.MaximumNArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		var request providersRequest
		if len(args) == 1 {
			set := strings.TrimPrefix(args[0], ofManifest)
			if err := new(choice).set(set); err != nil {
				return err
			}
			request.Set = &set
		}
		p, err := a.openProject("", &project.Options{})
		if err != nil {
			return err
		}
		running, err := control.Dial(cmd.Context(), controlDir(p.Dir()))
		if err != nil {
			return err
		}
		defer running.Close()
		var answer providersAnswer
		if err := running.Call(cmd.Context(), requestProviders, request, &answer); err != nil {
			return err
		}
		answer.Providers = cmp.Or(answer.Providers, ofManifest)
		if *format == "json" {
			return writeJSON(a.Out, answer)
		}
		fmt.Fprintln(a.Out, answer.Providers)
		return nil
	}
	return cmd
}
