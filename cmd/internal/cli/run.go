package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

// runFlags are the flags of the command that runs a module.
type runFlags struct {
	host      string
	port      int
	allowDev  bool
	binds     []string
	maps      []string
	manifest  string
	cache     string
	drain     time.Duration
	linger    time.Duration
	logFormat string
	timings   bool
	plugins   PluginFlags
	probes    ProbeFlags
	update    updateFlags
}

const runHelp = `Verify a signed module, bind it to the providers of what its claims grant, and
serve it. The claims are looked at once, before the module runs. A termination
signal drains it: no new request is taken, those in hand are answered. With
--linger it serves on for a while first, so that others learn that it is ending.

On the guest's port the host answers GET /healthz, 200 or 503 for whether the guest
is well (503 once it drains), and GET /id, which module runs. Both are below
--probes, such as /_host, or left to the guest with --probes off. With --live-update
a signed module that is POSTed to /liveupdate, there too, takes the place of the one
that runs, and no request is lost. It must have the same module key, be signed by
the same account or one of --trust, claim nothing that the first one did not, and
not be older: of a lower revision, or of the same one and signed before. Anybody who
reaches the port may send one: keep it from the world where you can.

Compiled code is kept in a cache of the user's. The first start of a module has
none: it serves at once, interpreted and slower, and compiles in the background,
for a second or two. Once that has come to its end, every later start takes what
is in the cache. --timings logs what each step of a start took, and which of the
two it was.

Where a capability is bound to is read from, first to last: --bind, the
environment, the [[bind]] tables of a waxo.toml (--manifest, or the one that the
working directory belongs to). Variables are WAXO_KEYVALUE_URL, _MESSAGING_URL,
_EVENTSTREAMS_URL and _BLOBSTORE_URL, with a binding's name before _URL where that
is not default; for default bindings REDIS_URL, NATS_URL, NATS_SUBSCRIPTION,
NATS_QUEUEGROUP_NAME, NATS_CLIENT_JWT and NATS_CLIENT_SEED, too. Where none says,
Redis is looked for at redis://127.0.0.1:6379/0 and NATS at nats://127.0.0.1:4222%s

Providers may also be plugins, programs of their own: those in the folder --caps,
and those that [[bind]] tables name. A plugin is run only where its claims hold,
and only where --trust names the account that signed it. With --allow-dev, one that
is not signed, or not by an account of --trust, is run with a warning.

The port is --port, or PORT, or 8080.`

// What runHelp says of embedded servers, where the program has them and where not.
const (
	embeddedHelp = `;
for a module with throwaway keys they and S3 are servers in this process, in memory
only.`
	elsewhereHelp = `.
There are no servers in this process: a binding that asks for an embedded one is an
error, and a module with throwaway keys is bound as any other is. The address of S3
has to be said.`
)

// RunCommand is the command that verifies, binds and serves one module. called is how
// it is called, such as "waxo run".
func (a *App) RunCommand(called string) *cobra.Command {
	f := &runFlags{}
	help, bind := elsewhereHelp, "CAPABILITY[/NAME]=URL; may be repeated"
	if a.Emulators != nil {
		help, bind = embeddedHelp, "CAPABILITY[/NAME]=URL, or =embedded; may be repeated"
	}
	cmd := &cobra.Command{
		Use:     called[strings.LastIndex(called, " ")+1:] + " MODULE",
		Short:   "Run a signed module: the production host",
		Long:    fmt.Sprintf(runHelp, help),
		Example: fmt.Sprintf("  %[1]s hello.wasm --bind wascap:keyvalue=redis://127.0.0.1:6379/0\n  %[1]s --allow-dev .waxo/build/hello.wasm\n  %[1]s hello.wasm --live-update\n  curl --data-binary @newer.wasm localhost:8080/liveupdate", called),
		Args:    Args(cobra.ExactArgs(1)),
	}
	cmd.Flags().StringVar(&f.host, "host", "127.0.0.1", "address to listen on; 0.0.0.0 lets the network in")
	cmd.Flags().IntVarP(&f.port, "port", "p", manifest.DefaultPort, "port to listen on; 0 picks one")
	cmd.Flags().BoolVar(&f.allowDev, "allow-dev", false, "run modules that were signed with throwaway keys")
	cmd.Flags().StringArrayVar(&f.binds, "bind", nil, bind)
	cmd.Flags().StringArrayVar(&f.maps, "map", nil, "CLAIM=CAPABILITY: serve a claim by another's provider, such as wascc:keyvalue=wascap:keyvalue")
	cmd.Flags().StringVar(&f.manifest, "manifest", "", "waxo.toml with bindings and limits")
	cmd.Flags().StringVar(&f.cache, "cache", "", "folder for compiled code; default: waxo in the user's cache folder")
	cmd.Flags().DurationVar(&f.drain, "drain", 30*time.Second, "how long requests in hand may take at the end")
	cmd.Flags().DurationVar(&f.linger, "linger", 0, "how long to serve on after a termination signal, with healthz at 503, before the drain begins")
	cmd.Flags().StringVar(&f.logFormat, "log-format", "text", "form of the log: text or json")
	cmd.Flags().BoolVar(&f.timings, "timings", false, "log what each step from the start of the process to serving took")
	f.plugins.Add(cmd)
	f.probes.Add(cmd)
	f.update.add(cmd)
	LimitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.run(cmd, f, args[0]) }
	return cmd
}

// run verifies, binds and serves one module until it is told to stop.
func (a *App) run(cmd *cobra.Command, f *runFlags, file string) (err error) {
	ctx := cmd.Context()
	log, err := a.Logger(f.logFormat, Quiet(cmd))
	if err != nil {
		return err
	}
	plugins, err := f.plugins.Options(a.Lookup, log, f.allowDev)
	if err != nil {
		return err
	}
	t := &timings{begun: a.Begun}
	planned := t.phase("read")
	plan, err := a.plan(cmd, f, file)
	if err != nil {
		return err
	}
	planned()
	engine, err := NewEngine(f.cache, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, Within(ctx, engine.Close)) }()
	host, own, err := a.host(f, plan, engine, log)
	if err != nil {
		return err
	}
	c := connect.New(&connect.Options{
		Log: log, Lookup: a.Lookup, Proxy: http.ProxyFromEnvironment, Plugins: plugins, Caps: f.plugins.Caps,
		Emulators: a.Emulators,
		HTTP:      &httpserver.Options{Logger: log, DrainTimeout: f.drain, Wrap: func(guest http.Handler) http.Handler { return f.probes.Wrap(own, guest) }},
	})
	var following sync.WaitGroup
	defer following.Wait() // it ends with the host
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.drain)
		defer cancel()
		err = errors.Join(err, host.Close(stop), c.Close(stop))
		own.Close()
	}()
	a.OnAbort(func() string { return inHand(host) })
	if plan.manifest != "" {
		log.Info("limits and bindings are those of a manifest", "file", plan.manifest)
	}
	g, err := plan.start(ctx, host, c, t)
	if err != nil {
		return fmt.Errorf("%s: %w", file, TrustHint(err))
	}
	id := capability.BindingID{Guest: plan.claims.Subject, Name: capability.DefaultBinding}
	if f.timings {
		t.log(log, g)
	}
	log.Info("serving", "module", plan.claims.Name, "key", plan.claims.Subject, "url", c.HTTP(id))
	following.Go(func() {
		if g.Tier() == wapc.TierInterpreted {
			follow(ctx, log, g, a.Begun)
		}
		select { // not before: to compile takes memory enough
		case <-time.After(ballastDelay):
			defer a.ballast()()
			<-ctx.Done()
		case <-ctx.Done():
		}
	})
	f.untilDrain(ctx, own, log)
	return nil
}

// host makes the host, and what it answers itself.
func (a *App) host(f *runFlags, p *plan, engine *wapc.Engine, log *slog.Logger) (*devhost.Host, *admin.Endpoints, error) {
	host, err := devhost.New(&devhost.Options{
		Engine: engine, AllowDev: f.allowDev, Aliases: p.aliases, Limits: p.limits, Log: log, Updates: p.updates,
		Console: func(line string) { fmt.Fprintln(a.Out, printable.Line(line)) },
	})
	if err != nil {
		return nil, nil, err
	}
	own, err := f.probes.Endpoints(&admin.Options{Host: host, LiveUpdate: f.update.on, MaxModule: p.maxModule, Log: log})
	return host, own, err
}

// untilDrain waits for a termination signal, and then as long as others may need to
// see that this host ends. A second signal ends the process.
func (f *runFlags) untilDrain(ctx context.Context, own *admin.Endpoints, log *slog.Logger) {
	<-ctx.Done()
	own.Drain()
	if f.linger > 0 {
		log.Info("ending; it serves on for a while, and healthz says 503", "for", f.linger)
		<-time.After(f.linger)
	}
	log.Info("draining", "at most", f.drain)
}

func inHand(h *devhost.Host) string {
	if busy := h.InHand(); busy > 0 {
		return fmt.Sprintf("%d call(s)", busy)
	}
	return ""
}

// plan is what is about to be done.
type plan struct {
	module       []byte
	claims       *wascap.Claims
	capabilities []string // of the claims, as the providers are called
	specs        []manifest.Bind
	aliases      map[string]string
	limits       devhost.Limits
	address      string
	updates      *devhost.Updates // nil: live update is off
	maxModule    int64            // bytes of a live update
	manifest     string           // that limits and bindings were read from; "" where there is none
}

// plan gathers flags, environment, manifest and claims.
func (a *App) plan(cmd *cobra.Command, f *runFlags, file string) (*plan, error) {
	p := &plan{}
	err := f.probes.Check()
	if err != nil {
		return nil, err
	}
	if f.linger < 0 {
		return nil, usageError{fmt.Errorf("--linger %v: a host cannot end before it is told to", f.linger)}
	}
	if p.maxModule, err = f.update.bytes(); err != nil {
		return nil, err
	}
	if p.aliases, err = parseMaps(f.maps); err != nil {
		return nil, err
	}
	binds, err := parseBinds(f.binds)
	if err != nil {
		return nil, err
	}
	port, err := a.port(cmd, f)
	if err != nil {
		return nil, err
	}
	p.address = net.JoinHostPort(f.host, strconv.Itoa(port))
	if p.module, p.claims, err = ReadModule(file); err != nil {
		return nil, err
	}
	if p.claims.HasTag(wascap.DevTag) && !f.allowDev { // before anything is started
		return nil, fmt.Errorf("%s: %w", file, devhost.ErrThrowawayKeys)
	}
	for claim := range p.aliases {
		if !slices.Contains(p.claims.Capabilities, claim) {
			return nil, usageError{fmt.Errorf("--map: the module's claims do not hold %s", claim)}
		}
	}
	for _, c := range p.claims.Capabilities {
		if target, ok := p.aliases[c]; ok {
			c = target
		}
		p.capabilities = append(p.capabilities, c)
	}
	if p.updates, err = f.updates(p); err != nil {
		return nil, err
	}
	if err := a.specs(cmd, f, binds, p); err != nil {
		return nil, err
	}
	return p, nil
}

// port is the first of --port, PORT and the default.
func (a *App) port(cmd *cobra.Command, f *runFlags) (int, error) {
	port := f.port
	if v, ok := a.Lookup("PORT"); ok && v != "" && !cmd.Flags().Changed("port") {
		var err error
		if port, err = strconv.Atoi(v); err != nil {
			return 0, usageError{fmt.Errorf("PORT is %q, which is no number", v)}
		}
	}
	if port < 0 || port > 65535 {
		return 0, usageError{fmt.Errorf("there is no port %d; take 0 to 65535", port)}
	}
	return port, nil
}

// specs makes the bindings: of --bind, the environment, the manifest and the
// defaults, the first that has something to say.
func (a *App) specs(cmd *cobra.Command, f *runFlags, flags []manifest.Bind, p *plan) error {
	for _, s := range flags {
		if !slices.Contains(p.capabilities, s.Capability) {
			return usageError{fmt.Errorf("--bind: the module's claims do not grant %s", s.Capability)}
		}
	}
	m, err := runManifest(f)
	if err != nil {
		return err
	}
	p.manifest = m.Path
	if err := m.ApplyEnv(a.Environment(cmd)); err != nil {
		return Flagged(cmd, err)
	}
	p.limits = devhost.LimitsOf(m)
	p.specs = connect.Complete(p.capabilities, m.Binds, a.Emulators != nil && p.claims.HasTag(wascap.DevTag))
	if err := errors.Join(connect.FromOriginal(p.specs, a.Lookup), connect.FromEnvironment(p.specs, a.Lookup)); err != nil {
		return usageError{err}
	}
	for _, s := range flags {
		same := func(o manifest.Bind) bool { return o.Capability == s.Capability && o.Name == s.Name }
		if i := slices.IndexFunc(p.specs, same); i >= 0 {
			s.Config, s.Allow = p.specs[i].Config, p.specs[i].Allow
			p.specs[i] = s
		} else {
			p.specs = append(p.specs, s)
		}
	}
	return nil
}

// runManifest reads the manifest that binds, or returns the defaults where there
// is none.
func runManifest(f *runFlags) (*manifest.Manifest, error) {
	path := f.manifest
	if path == "" {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		if path, err = manifest.Find(dir); errors.Is(err, manifest.ErrNotFound) {
			return manifest.Defaults(), nil
		} else if err != nil {
			return nil, err
		}
	}
	return manifest.Load(path)
}

func parseBinds(texts []string) (specs []manifest.Bind, err error) {
	for _, text := range texts {
		s, err := parseBind(text)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	return specs, nil
}

func parseBind(text string) (manifest.Bind, error) {
	target, url, ok := strings.Cut(text, "=")
	id, name, named := strings.Cut(target, "/")
	if !named {
		name = capability.DefaultBinding
	}
	if !ok || id == "" || name == "" || url == "" {
		return manifest.Bind{}, usageError{fmt.Errorf("--bind %q: write CAPABILITY[/NAME]=URL, such as wascap:keyvalue=redis://127.0.0.1:6379/0", text)}
	}
	if url == manifest.ProviderEmbedded {
		return manifest.Bind{Capability: id, Name: name, Provider: manifest.ProviderEmbedded}, nil
	}
	// The shell has expanded its variables; what is left of a $ is meant.
	return manifest.Bind{Capability: id, Name: name, Provider: manifest.ProviderURL, URL: strings.ReplaceAll(url, "$", "$$")}, nil
}

func parseMaps(texts []string) (map[string]string, error) {
	aliases := make(map[string]string)
	for _, text := range texts {
		claim, target, ok := strings.Cut(text, "=")
		if !ok || claim == "" || target == "" {
			return nil, usageError{fmt.Errorf("--map %q: write CLAIM=CAPABILITY, such as wascc:keyvalue=wascap:keyvalue", text)}
		}
		aliases[claim] = target
	}
	return aliases, nil
}

// start verifies again what is about to run, makes the bindings and switches
// the guest on. What brings calls in is bound last.
func (p *plan) start(ctx context.Context, host *devhost.Host, c *connect.Connections, t *timings) (*devhost.Guest, error) {
	connected := t.phase("connect")
	binds, err := c.Connect(ctx, connect.Settings{Address: p.address, Dir: filepath.Dir(p.manifest), Limits: p.limits}, p.specs)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(binds, func(a, b devhost.Bind) int {
		return strings.Compare(rank(a.Capability), rank(b.Capability))
	})
	owner := devhost.Identity{Key: p.claims.Subject, Name: p.claims.Name}
	serving := slices.IndexFunc(binds, func(b devhost.Bind) bool { return rank(b.Capability) != "" })
	if serving < 0 {
		serving = len(binds)
	}
	if err := host.Bind(ctx, owner, binds[:serving]); err != nil {
		return nil, err
	}
	connected()
	g, err := host.Prepare(ctx, p.module, &devhost.PrepareOptions{Phase: t.phase})
	if err != nil {
		return nil, err
	}
	if err := host.Activate(g); err != nil {
		return nil, err
	}
	defer t.phase("listen")()
	return g, host.Bind(ctx, owner, binds)
}

// rank puts the capabilities that call the guest last.
func rank(id string) string {
	if id == capability.HTTPServer {
		return id
	}
	return ""
}

// Logger writes the log of a host to stderr.
func (a *App) Logger(format string, quiet bool) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{}
	if quiet {
		opts.Level = slog.LevelWarn
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.Err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.Err, opts)), nil
	}
	return nil, usageError{fmt.Errorf("there is no log format %q; take text or json", format)}
}
