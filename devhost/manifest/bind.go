package manifest

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability"
)

func readBinds(tables []*table, capabilities []string) []Bind {
	var binds []Bind
	for _, t := range tables {
		b := Bind{
			Capability: t.text("capability", ""),
			Name:       t.text("name", capability.DefaultBinding),
			Provider:   t.text("provider", ProviderEmbedded),
			Image:      t.text("image", ""),
			URL:        t.text("url", ""),
			Plugin:     t.text("plugin", ""),
			Allow:      t.texts("allow"),
			Config:     t.stringMap("config"),
			at:         t.reader,
			key:        t.path,
		}
		t.done()
		checkBindCapability(t, b.Capability, capabilities)
		if !isWord(b.Name) {
			t.fail(join(t.path, "name"), "the binding's name %q must be of letters, digits, '_', '-' and '.'", b.Name)
		}
		for _, other := range binds {
			if other.Capability == b.Capability && other.Name == b.Name {
				t.fail(t.path, "%q is bound twice under the name %q: give one of them another name", b.Capability, b.Name)
				break
			}
		}
		checkProvider(t, b)
		checkAllow(t, b)
		for _, key := range sortedKeys(b.Config) {
			if err := checkVariables(b.Config[key]); err != nil {
				t.fail(join(join(t.path, "config"), key), "%v", err)
			}
		}
		binds = append(binds, b)
	}
	return binds
}

func checkBindCapability(t *table, c string, capabilities []string) {
	key := join(t.path, "capability")
	switch {
	case slices.Contains(capabilities, c):
	case t.values["capability"] == nil:
		t.fail(key, `[[bind]] needs capability = "..."`)
	case CheckCapability(c) != nil:
		t.fail(key, "%v", CheckCapability(c))
	default:
		t.fail(key, "%q is bound but not claimed: add it to capabilities, or remove the [[bind]]", c)
	}
}

// serviceCapabilities are those whose provider is a client of a service, which may
// run in a container.
var serviceCapabilities = []string{capability.KeyValue, capability.Messaging, capability.Blobstore, capability.EventStreams}

// HasService tells whether the provider of a capability is the client of a service
// that can be embedded, in a container or at a URL.
func HasService(capability string) bool { return slices.Contains(serviceCapabilities, capability) }

func checkProvider(t *table, b Bind) {
	known := []string{ProviderEmbedded, ProviderContainer, ProviderURL, ProviderPlugin}
	if !slices.Contains(known, b.Provider) {
		t.fail(join(t.path, "provider"), "unknown provider %q%s", b.Provider, didYouMean(b.Provider, known))
		return
	}
	for _, k := range []struct{ key, value, provider string }{
		{"image", b.Image, ProviderContainer}, {"url", b.URL, ProviderURL}, {"plugin", b.Plugin, ProviderPlugin},
	} {
		if k.value != "" && b.Provider != k.provider {
			t.fail(join(t.path, k.key), "%s is for provider = %q", k.key, k.provider)
		}
	}
	switch b.Provider {
	case ProviderURL:
		if b.URL == "" {
			t.fail(join(t.path, "url"), `provider = %q needs url = "redis://127.0.0.1:6379/0", or the like`, ProviderURL)
		} else if err := checkURL(b.URL); err != nil {
			t.fail(join(t.path, "url"), "url: %v", err)
		}
	case ProviderPlugin:
		if b.Plugin == "" {
			t.fail(join(t.path, "plugin"), `provider = %q needs plugin = "./plugins/kv", or the like: the provider's program`, ProviderPlugin)
		}
	case ProviderContainer:
		if CheckCapability(b.Capability) == nil && !HasService(b.Capability) {
			t.fail(join(t.path, "provider"), "there is no container for %s; there are some for %s", b.Capability, strings.Join(serviceCapabilities, ", "))
		}
		if strings.ContainsAny(b.Image, " \t\r\n") || strings.HasPrefix(b.Image, "-") {
			t.fail(join(t.path, "image"), "%q is not an image such as \"redis:7.4-alpine\"", b.Image)
		}
	}
}

func checkAllow(t *table, b Bind) {
	if b.Allow != nil && b.Capability != capability.HTTPClient {
		t.fail(join(t.path, "allow"), "allow is for %s: the hosts that the guest may call", capability.HTTPClient)
		return
	}
	for i, host := range b.Allow {
		if (host == "" && !t.isNot("allow", i)) || strings.ContainsAny(host, ", \t\r\n") || strings.Contains(host, "://") {
			t.fail(element(join(t.path, "allow"), i), "%q is not a host such as \"api.example.com\", \"*.example.com\" or \"127.0.0.1:9000\"", host)
		}
	}
}

// checkURL refuses what cannot be an address. Where variables stand in it, only
// those are checked; Expand checks the rest. It never repeats the address, which
// may hold a password.
func checkURL(text string) error {
	if strings.Contains(text, "${") {
		return checkVariables(text)
	}
	if !isAddress(text) {
		return errors.New("this is not an address such as redis://127.0.0.1:6379/0")
	}
	return nil
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != ""
}
