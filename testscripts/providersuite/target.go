package providersuite

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// ErrTarget matches errors of targets that are not well named.
var ErrTarget = errors.New("no target")

// targetError is one that ErrTarget matches.
type targetError struct{ text string }

func (e targetError) Error() string        { return e.text }
func (e targetError) Is(target error) bool { return target == ErrTarget }

func badTarget(format string, args ...any) error { return targetError{fmt.Sprintf(format, args...)} }

// Target is what the suites are run against, as a user names it.
type Target struct {
	name         string   // for reports, without passwords
	provider     string   // as in the manifest: embedded, container, url or plugin
	capabilities []string // none: that of the plugin, or those of all plugins of a folder
	url          string   // of provider url
	image        string   // of provider container
	path         string   // of provider plugin
	folder       bool     // the path is one of plugins
}

// ParseTarget reads a target: "embedded", "container", either with a colon and a
// capability behind it, a URL of a service, or the path of a plugin, of its claims, or
// of a folder of plugins. Capabilities are full names or those without what stands
// before the colon; they narrow down what a target offers. Errors match ErrTarget.
func ParseTarget(text string, capabilities []string) (*Target, error) {
	var wanted []string
	for _, name := range capabilities {
		id, err := fullName(name)
		if err != nil && !strings.Contains(name, ":") {
			return nil, err
		}
		if err != nil {
			id = name // a vendor's
		}
		wanted = append(wanted, id)
	}
	t, err := parseTarget(text)
	if err != nil || len(wanted) == 0 {
		return t, err
	}
	if len(t.capabilities) == 0 {
		t.capabilities = wanted
		return t, nil
	}
	for _, id := range wanted {
		if !slices.Contains(t.capabilities, id) {
			return nil, badTarget("the target %s does not offer %s: it has %s", t.name, id, strings.Join(t.capabilities, ", "))
		}
	}
	t.capabilities = wanted
	return t, nil
}

func parseTarget(text string) (*Target, error) {
	kind, rest, more := strings.Cut(text, ":")
	switch {
	case text == "":
		return nil, badTarget("a target is embedded, container, the URL of a service, or the path of a plugin")
	case kind == manifest.ProviderEmbedded:
		return parseEmbedded(text, rest, more)
	case kind == manifest.ProviderContainer:
		return parseContainer(text, rest, more)
	case strings.Contains(text, "://"):
		return parseURL(text)
	}
	return parsePath(text)
}

func parseEmbedded(text, name string, named bool) (*Target, error) {
	t := &Target{name: text, provider: manifest.ProviderEmbedded, capabilities: known(func(string) bool { return true })}
	if !named {
		return t, nil
	}
	id, err := fullName(name)
	t.capabilities = []string{id}
	return t, err
}

func parseContainer(text, rest string, named bool) (*Target, error) {
	t := &Target{name: text, provider: manifest.ProviderContainer, capabilities: known(manifest.HasService)}
	if !named {
		return t, nil
	}
	name, image, _ := strings.Cut(rest, ",")
	id, err := fullName(name)
	if err == nil && !manifest.HasService(id) {
		return nil, badTarget("there is no service behind %s that could run in a container: there is one behind %s", id, strings.Join(t.capabilities, ", "))
	}
	t.capabilities, t.image = []string{id}, image
	return t, err
}

// schemes are the capabilities of services by the schemes of their URLs.
func schemes(scheme string) []string {
	switch scheme {
	case "redis", "rediss":
		return []string{capability.KeyValue}
	case "nats", "tls":
		return []string{capability.Messaging, capability.EventStreams}
	case "http", "https", "s3":
		return []string{capability.Blobstore}
	}
	return nil
}

func parseURL(text string) (*Target, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	t := &Target{provider: manifest.ProviderURL, url: text, capabilities: schemes(scheme)}
	if t.capabilities == nil {
		return nil, badTarget("there is no provider for %s:// addresses: there are redis://, nats://, and s3://, https:// or http:// for an S3 server", scheme)
	}
	if scheme == "s3" {
		t.url = "https://" + rest
	}
	t.name = scheme + "://..."
	if u, err := url.Parse(text); err == nil {
		t.name = u.Redacted()
	}
	return t, nil
}

func parsePath(text string) (*Target, error) {
	t := &Target{name: text, provider: manifest.ProviderPlugin, path: strings.TrimSuffix(text, plugin.ClaimsSuffix)}
	info, err := os.Stat(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, badTarget("there is no plugin %s, and it is neither embedded, container nor a URL", t.path)
	}
	if err != nil {
		return nil, err
	}
	t.folder = info.IsDir()
	return t, nil
}

// known are the capabilities that there are suites for.
func known(wanted func(id string) bool) []string {
	var ids []string
	for _, suite := range parity.All() {
		if wanted(suite.Capability) {
			ids = append(ids, suite.Capability)
		}
	}
	return ids
}

// fullName is a capability's, of which name may lack what stands before the colon.
func fullName(name string) (string, error) {
	var short []string
	for _, id := range known(func(string) bool { return true }) {
		_, s, _ := strings.Cut(id, ":")
		if name == id || name == s {
			return id, nil
		}
		short = append(short, s)
	}
	return "", badTarget("there is no suite for the capability %q: there are %s", name, strings.Join(short, ", "))
}

// shortName is a capability's without what stands before the colon, where it is one
// of those with a suite.
func shortName(id string) string {
	if _, s, ok := strings.Cut(id, ":"); ok {
		if full, err := fullName(s); err == nil && full == id {
			return s
		}
	}
	return id
}
