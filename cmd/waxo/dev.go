package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/console"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/workbench"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/templates"
)

// devFlags are the flags of waxo dev.
type devFlags struct {
	template  string
	host      string
	port      int
	poll      bool
	logFormat string
	providers string
	keep      bool
	choice    choice // of providers, as it changes
	plugins   cli.PluginFlags
	probes    cli.ProbeFlags
}

const devHelp = `Build the project in the folder NAME (or the one that the working directory
belongs to), sign it with throwaway keys, verify it as production would, bind it
to what its claims grant, serve it, and swap in every change without dropping a
request. Where there is no folder NAME, the project is made first.

A new build is interpreted at first, so that it answers soon; compiled code takes
over a little later, and the line "runs compiled" says when. It has the same
limits in both.

A build that fails leaves the last good one serving. Each HTTP response says in
X-Waxo-Build which build gave it. The module that serves is kept in
.waxo/build/NAME.wasm.

The services behind capabilities (Redis, ...) are servers inside of waxo, real ones
in containers, or at a URL: each [[bind]] of waxo.toml says which, WAXO_KEYVALUE_URL
and the like override it, and --providers has all be of one kind. This may change
while the guest serves. Their addresses are printed, and kept in .waxo/env for
shells: . .waxo/env && redis-cli -u $WAXO_KEYVALUE_URL

Providers may also be plugins, programs of their own: those in the folder --caps,
and those that [[bind]] tables name. One that is not signed, or by an account that
--trust does not name, is run with a warning; waxo run would refuse it.

On the guest's port the host answers GET /healthz and GET /id, as waxo run does;
--probes moves them or leaves them to the guest.

Keys: r rebuilds, p goes on to the next kind of providers, c clears the screen, q
quits.`

func (a *app) devCommand() *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use:     "dev [NAME]",
		Short:   "Build, sign, run and watch a project, and swap every change in",
		Long:    devHelp,
		Example: "  waxo dev hello\n  waxo dev hello --port 9000\n  waxo dev --log-format json",
		Args:    cli.Args(cobra.MaximumNArgs(1)),
	}
	cmd.Flags().StringVar(&f.template, "template", templates.Default, "what to make where there is no project; see waxo new --list")
	cmd.Flags().StringVar(&f.host, "host", "127.0.0.1", "address to listen on; 0.0.0.0 lets the network in")
	cmd.Flags().IntVarP(&f.port, "port", "p", manifest.DefaultPort, "port to listen on; 0 picks one; default: [dev] port of waxo.toml")
	cmd.Flags().Lookup("port").DefValue = "0" // not shown: the usage names the default
	cmd.Flags().BoolVar(&f.poll, "poll", false, "look for changes instead of waiting for the system's events")
	cmd.Flags().StringVar(&f.logFormat, "log-format", "text", "form of what is printed: text or json")
	cmd.Flags().StringVar(&f.providers, "providers", "", "where the services behind all capabilities are: embedded or container; default: as waxo.toml says")
	cmd.Flags().BoolVar(&f.keep, "keep-containers", false, "leave containers running at the end, for the next waxo dev --keep-containers; docker rm -f ends them")
	f.plugins.Add(cmd)
	f.probes.Add(cmd)
	cli.LimitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.logFormat != "text" && f.logFormat != "json" {
			return cli.Usage(fmt.Errorf("there is no log format %q; take text or json", f.logFormat))
		}
		if f.port < 0 || f.port > 65535 {
			return cli.Usage(fmt.Errorf("there is no port %d; take 0 to 65535", f.port))
		}
		if err := f.probes.Check(); err != nil {
			return err
		}
		if err := f.choice.set(f.providers); err != nil {
			return err
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		return a.dev(cmd, f, name)
	}
	return cmd
}

// dev runs the workbench until it is told to stop.
func (a *app) dev(cmd *cobra.Command, f *devFlags, name string) (err error) {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	show := console.New(&console.Options{
		Out: a.Out, Err: a.Err, JSON: f.logFormat == "json", Color: a.color(a.Err), Quiet: cli.Quiet(cmd),
	})
	p, err := a.devProject(cmd, f, name, show)
	if err != nil {
		return cli.Flagged(cmd, err)
	}
	log := slog.New(show.Handler(slog.LevelInfo))
	engine, err := cli.NewEngine("", log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cli.Within(ctx, engine.Close)) }()
	companions := companion.NewClient(&companion.Options{Progress: func(line string) { log.Info(line) }})
	defer func() { err = errors.Join(err, cli.Within(ctx, companions.Close)) }()
	plugins, err := f.plugins.Options(a.Lookup, log, true)
	if err != nil {
		return err
	}
	var own *admin.Endpoints // made with the host, before anything is bound
	c := connect.New(&connect.Options{
		Log: log, Lookup: a.Lookup, Proxy: http.ProxyFromEnvironment, Plugins: plugins, Caps: f.plugins.Caps,
		State: func() (string, error) { return p.State("state") },
		HTTP:  &httpserver.Options{AccessLog: requests(show), Wrap: func(guest http.Handler) http.Handler { return f.probes.Wrap(own, guest) }},

		Emulators:  a.Emulators,
		Containers: containers(companions, p, f.keep, log),
	})
	defer func() { err = errors.Join(err, cli.Within(ctx, c.Close)) }()
	faults := fault.New(&fault.Options{Log: log})
	defer func() { err = errors.Join(err, cli.Within(ctx, faults.Close)) }()
	w, err := workbench.New(&workbench.Options{
		Project: p, Engine: engine, Events: show.Event, Console: show.Line, Log: log, Poll: f.poll,
		Connect:     a.connector(f, c, faults),
		Prune:       c.Prune,
		Environment: c.Environment,
		Bound:       announce(c, show),
	})
	if err != nil {
		return err
	}
	if own, err = f.probes.Endpoints(&admin.Options{Host: w.Host(), Development: true, Log: log}); err != nil {
		return err
	}
	defer own.Close() // HTTP was unbound when Run has returned
	defer context.AfterFunc(ctx, own.Drain)()
	a.OnAbort(w.Pending)
	steered, err := a.steer(p, f, c, faults, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, steered.Close()) }()
	a.greet(p, show)
	a.keys(ctx, cancel, w, &f.choice, show)
	return w.Run(ctx)
}

// greet says what is developed, and what of the shell does not count.
func (a *app) greet(p *project.Project, show *console.Console) {
	m := p.Manifest()
	show.Event(workbench.Event{Kind: workbench.KindNotice, Message: fmt.Sprintf("%s %s may touch %s", m.Name, m.Version, list(m.Capabilities))})
	if of, _ := a.Lookup(project.EnvironmentMarker); of != "" {
		show.Event(workbench.Event{Kind: workbench.KindNotice, Message: "this shell has read .waxo/env of " + of + "; its addresses do not count here"})
	}
}

// connector makes the bindings of a manifest, and what goes wrong with them.
func (a *app) connector(f *devFlags, c *connect.Connections, faults *fault.Injector) func(context.Context, *manifest.Manifest) ([]devhost.Bind, error) {
	return func(ctx context.Context, m *manifest.Manifest) ([]devhost.Bind, error) {
		specs := connect.Complete(m.Capabilities, m.Binds, true)
		// What .waxo/env says is of a waxo dev that may have ended.
		if v, _ := a.Lookup(project.EnvironmentMarker); v == "" {
			if err := connect.FromEnvironment(specs, a.Lookup); err != nil {
				return nil, cli.Usage(err)
			}
		}
		providers := f.choice.get()
		connect.Provide(specs, providers)
		binds, err := c.Connect(ctx, connect.Settings{
			Address: net.JoinHostPort(f.host, strconv.Itoa(m.Dev.Port)), Dir: filepath.Dir(m.Path),
			Limits: devhost.LimitsOf(m), Provided: providers != "",
		}, specs)
		if err != nil {
			return nil, err
		}
		return wrap(faults, binds), faults.Base(ctx, m.Dev.Faults)
	}
}

// devProject opens the project, and makes it first where NAME names none.
func (a *app) devProject(cmd *cobra.Command, f *devFlags, name string, show *console.Console) (*project.Project, error) {
	opts := &project.Options{Lookup: a.Environment(cmd)}
	if cmd.Flags().Changed("port") {
		opts.Override = func(m *manifest.Manifest) { m.Dev.Port = f.port }
	}
	if name == "" {
		p, err := a.openProject("", opts)
		if errors.Is(err, manifest.ErrNotFound) {
			return nil, cli.Usage(fmt.Errorf("%w; waxo dev NAME makes a project in the folder NAME", err))
		}
		return p, err
	}
	if t, _ := templates.Find(f.template); t.Provider {
		return nil, cli.Usage(fmt.Errorf("the template %s makes no guest: waxo new %s --template %[1]s makes its project", f.template, name))
	}
	if _, err := os.Stat(filepath.Join(name, manifest.FileName)); errors.Is(err, fs.ErrNotExist) {
		if _, err := templates.Write(name, f.template, nil); err != nil {
			return nil, err
		}
		show.Event(workbench.Event{Kind: workbench.KindNotice, Message: "made a project from the template " + f.template + " in " + name})
	} else if err != nil {
		return nil, err
	}
	return a.openProject(name, opts)
}

// list names capabilities for people.
func list(capabilities []string) string {
	if len(capabilities) == 0 {
		return "nothing: there are no capabilities in " + manifest.FileName
	}
	return strings.Join(capabilities, ", ")
}

// requests shows each request that was answered, and why one failed.
func requests(show *console.Console) func(httpserver.Access) {
	return func(r httpserver.Access) {
		e := workbench.Event{Kind: workbench.KindRequest, Message: r.Method + " " + r.Path, Status: r.Status, Took: r.Duration}
		if r.Err != nil {
			e.Message += "  " + r.Err.Error()
			// Why there is no guest was told when the build failed.
			if r.Err.Code != capability.CodeUnavailable {
				e.Detail = r.Err.Detail
			}
		}
		show.Event(e)
	}
}

// announce tells where the HTTP server is reached, when that is new.
func announce(c *connect.Connections, show *console.Console) func(guest string, binds []devhost.Bind) {
	told := make(map[string]string)
	return func(guest string, binds []devhost.Bind) {
		for _, b := range binds {
			url := c.HTTP(capability.BindingID{Guest: guest, Name: b.Name})
			if b.Capability == capability.HTTPServer && url != told[b.Name] {
				told[b.Name] = url
				show.Event(workbench.Event{Kind: workbench.KindListening, Message: url})
			}
		}
	}
}

// keys serves the keys that are pressed in a terminal.
func (a *app) keys(ctx context.Context, quit func(), w *workbench.Workbench, providers *choice, show *console.Console) {
	pressed, restore, ok := console.Keys(a.In)
	if !ok {
		return
	}
	a.OnExit(restore)
	show.Event(workbench.Event{Time: time.Now(), Kind: workbench.KindNotice, Message: "keys: r rebuild, p providers, c clear, q quit"})
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case k, ok := <-pressed:
				if !ok {
					return
				}
				switch k {
				case 'r':
					w.Rebuild()
				case 'p':
					go move(ctx, w, providers, show)
				case 'c':
					show.Clear()
				case 'q':
					quit()
				}
			}
		}
	}()
}

// move goes on to the next kind of providers, and says so.
func move(ctx context.Context, w *workbench.Workbench, providers *choice, show *console.Console) {
	// Why it failed, the event of the build tells.
	if providers.move(providers.next(), func() error { return w.Rebind(ctx) }) == nil {
		show.Event(workbench.Event{Time: time.Now(), Kind: workbench.KindNotice, Message: providers.String()})
	}
}
