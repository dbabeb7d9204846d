//go:build unix

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/capability/plugin/serve"
)

// The test program is the plugins' program, too: a plugin that the tests start
// is a link to it, and what it is told by its environment makes it one.
const (
	modeKey   = "WAXO_TEST_MODE"
	markerKey = "WAXO_TEST_MARKER" // a file that the plugin makes before anything else
	fileKey   = "WAXO_TEST_FILE"   // the plugin of a host
)

func TestMain(m *testing.M) {
	mode, ok := os.LookupEnv(modeKey)
	if !ok {
		os.Exit(m.Run())
	}
	if marker := os.Getenv(markerKey); marker != "" {
		if err := os.WriteFile(marker, nil, 0o600); err != nil {
			panic(err)
		}
	}
	if info, err := os.Stat(os.Getenv("PLUGIN_UNIX_SOCKET_DIR")); err == nil {
		sockets = info.Mode().String()
	}
	if err := beA(mode); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// sockets is the mode of the folder that a plugin was given for its socket, which
// is gone when it can be asked.
var sockets string

// beA is the main function of the plugins.
func beA(mode string) error {
	line := func(s string) error {
		fmt.Println(s)
		select {}
	}
	certificate := strings.Repeat("A", 60)
	if wrong, ok := strings.CutPrefix(mode, "hand-made"); ok {
		return handMade{wrong: strings.TrimPrefix(wrong, ", but ")}.run()
	}
	switch mode {
	case "serve":
		return serve.Provider(&testProvider{capability: capabilityOf(os.Args[0])})
	case "dies at once":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(3)
	case "says nothing":
		select {}
	case "closes its output":
		os.Stdout.Close()
		select {}
	case "garbage":
		return line("hello, I am a program")
	case "endless line":
		for {
			fmt.Print("all work and no play makes jack a dull boy ")
		}
	case "another version":
		return line("1|99|unix|/nowhere|grpc|" + certificate)
	case "another core version":
		return line("2|1|unix|/nowhere|grpc|" + certificate)
	case "net/rpc":
		return line("1|1|unix|/nowhere|netrpc|" + certificate)
	case "no certificate":
		return line("1|1|unix|/nowhere|grpc|")
	case "another cookie":
		goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "OTHER", MagicCookieValue: "other"}})
	case "go-plugin alone":
		return alone{}.run()
	case "host":
		return beAHost(os.Getenv(fileKey))
	case "redis":
		return serve.Provider(keyvalue.New(nil))
	case "no capability":
		return serve.Provider(&testProvider{})
	case "does not close":
		return serve.Provider(&testProvider{capability: "test:stubborn", closing: func() { select {} }})
	}
	return fmt.Errorf("there is no mode %q", mode)
}

// beAHost runs one plugin until it is killed, and writes the number of its
// process.
func beAHost(file string) error {
	ctx := context.Background()
	p, err := plugin.Open(ctx, file, development("serve"))
	if err != nil {
		return err
	}
	id := capability.BindingID{Guest: "M", Name: "default"}
	if err := p.Bind(ctx, capability.Binding{BindingID: id}, nil); err != nil {
		return err
	}
	pid, err := p.Call(ctx, capability.Call{BindingID: id, Operation: "Pid"})
	if err != nil {
		return err
	}
	fmt.Println(string(pid))
	select {}
}

// capabilityOf is what a plugin of a file's name offers: NAME or NAME-ANYTHING.
func capabilityOf(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), "-")
	return "test:" + name
}

// testProvider does what it is asked to.
type testProvider struct {
	capability string
	closing    func()

	bindings capability.Bindings[*bound]
}

type bound struct {
	binding    capability.Binding
	dispatcher capability.Dispatcher
}

func (p *testProvider) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: p.capability, Name: "Test", Version: "1.2.3", Operations: []string{"Echo", "Fail"}}
}

func (p *testProvider) Bind(_ context.Context, b capability.Binding, d capability.Dispatcher) error {
	if file := b.Config["refuse_where"]; file != "" {
		if _, err := os.Stat(file); err == nil {
			return &capability.Error{Code: capability.CodeInvalid, Message: "refused, as it was asked to"}
		}
	}
	return p.bindings.Add(b.BindingID, &bound{b, d})
}

func (p *testProvider) Unbind(ctx context.Context, id capability.BindingID) error {
	_, _, err := p.bindings.Remove(ctx, id)
	return err
}

func (p *testProvider) Close(ctx context.Context) error {
	if p.closing != nil {
		p.closing()
	}
	_, err := p.bindings.Close(ctx)
	return err
}

func (p *testProvider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	text := string(c.Payload)
	switch c.Operation {
	case "Echo":
		return append(c.Into[:0], c.Payload...), nil
	case "Size":
		n, err := strconv.Atoi(text)
		return make([]byte, n), err
	case "Fail":
		e := capability.ParseError(text)
		e.Detail = "the detail"
		return []byte("not to be seen"), e
	case "FailPlainly":
		return nil, errors.New(text)
	case "Bound":
		v := b.Value.binding
		return fmt.Appendf(nil, "%s %s %s %v %t", v.Guest, v.Name, v.GuestName, v.Config, v.Development), nil
	case "Deadline":
		deadline, ok := ctx.Deadline()
		return fmt.Appendf(nil, "%t %t", ok, time.Until(deadline) > 20*time.Second), nil
	case "Hang":
		<-ctx.Done()
		return nil, ctx.Err()
	case "Exit":
		os.Exit(7)
	case "Sockets":
		return []byte(sockets), nil
	case "Pid":
		return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
	case "Environment":
		return []byte(strings.Join(os.Environ(), "\n")), nil
	case "Print":
		fmt.Println(text)
		fmt.Fprintln(os.Stderr, text)
	case "Dispatch":
		return p.dispatch(ctx, b.Value.dispatcher, text)
	}
	return nil, nil
}

// dispatch has the guest handle an operation within a time, and tells what came
// of it.
func (p *testProvider) dispatch(ctx context.Context, d capability.Dispatcher, text string) ([]byte, error) {
	operation, limit, _ := strings.Cut(text, " within ")
	if limit != "" {
		duration, err := time.ParseDuration(limit)
		if err != nil {
			return nil, err
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), duration)
		defer cancel()
	}
	reply, err := d.Dispatch(ctx, operation, []byte("to the guest"), nil)
	if err != nil {
		return fmt.Appendf(nil, "%s from %q", err, reply.Build), nil
	}
	return fmt.Appendf(nil, "%s from %q", reply.Payload, reply.Build), nil
}
