package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// services looks whether the services and plugins that the manifest names are there.
func (e *examination) services(ctx context.Context) {
	for _, b := range e.Binds {
		check := b.Capability
		if b.Name != capability.DefaultBinding {
			check += "/" + b.Name
		}
		expanded, err := b.Expand(e.Lookup)
		switch {
		case err != nil:
			e.bad(Problem, check, "set it, or correct "+manifest.FileName, "%v", err)
		case b.Provider == manifest.ProviderURL && expanded.URL != "":
			e.service(ctx, check, expanded.URL)
		case b.Provider == manifest.ProviderPlugin:
			e.plugin(check, expanded.Plugin)
		}
	}
}

// dialTimeout is how long a service may take to accept a connection.
const dialTimeout = 2 * time.Second

// service looks whether anybody listens at the address of a service, or at one of them,
// as NATS may have several. What stands beside the address, such as a password, is not
// spoken of.
func (e *examination) service(ctx context.Context, check, text string) {
	urls := []string{text}
	if strings.HasPrefix(text, "nats:") || strings.HasPrefix(text, "tls:") {
		urls = strings.Split(text, ",")
	}
	var addresses []string
	for _, text := range urls {
		address, err := hostPort(strings.TrimSpace(text))
		if err != nil {
			e.bad(Problem, check, "correct its url", "%v", err)
			return
		}
		addresses = append(addresses, address)
	}
	for _, address := range addresses {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		cancel()
		if err == nil {
			_ = conn.Close()
			e.ok(check, "somebody listens at %s", address)
			return
		}
	}
	e.bad(Problem, check, "start the service, or correct its url", "nobody listens at %s", strings.Join(addresses, ", "))
}

// ports are those of the schemes that the addresses of services have.
var ports = map[string]string{
	"redis": "6379", "rediss": "6379", "nats": "4222", "tls": "4222", "http": "80", "https": "443",
}

// hostPort is where the service of a URL listens.
func hostPort(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("its url names no host")
	}
	port, known := ports[u.Scheme]
	if !known {
		return "", fmt.Errorf("no service is at %s://", u.Scheme)
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)), nil
}

// plugin looks whether a plugin can be run.
func (e *examination) plugin(check, program string) {
	if !filepath.IsAbs(program) {
		program = filepath.Join(e.Manifest.Dir(), filepath.FromSlash(program))
	}
	info, err := os.Stat(program)
	switch {
	case err != nil:
		e.bad(Problem, check, "build it, or correct plugin in "+manifest.FileName, "the plugin is not there: %v", err)
	case info.IsDir():
		e.bad(Problem, check, "correct plugin in "+manifest.FileName, "the plugin %s is a folder", program)
	case runtime.GOOS != "windows" && info.Mode()&fs.ModePerm&0o111 == 0:
		e.bad(Problem, check, "chmod +x "+program, "the plugin %s is no program", program)
	default:
		e.ok(check, "the plugin %s", program)
	}
}
