package connect

import (
	"fmt"
	"maps"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// Complete returns the bindings of capabilities: those of specs, and for a
// capability that has none there the default one. That is embedded or, where what
// is embedded does not do, at the address of Default.
func Complete(capabilities []string, specs []manifest.Bind, embedded bool) []manifest.Bind {
	var all []manifest.Bind
	for _, id := range capabilities {
		before := len(all)
		for _, s := range specs {
			if s.Capability == id {
				all = append(all, s)
			}
		}
		if len(all) > before {
			continue
		}
		s := manifest.Bind{Capability: id, Name: capability.DefaultBinding, Provider: manifest.ProviderEmbedded}
		if !embedded && manifest.HasService(id) {
			s.Provider, s.URL = manifest.ProviderURL, Default(id)
		}
		all = append(all, s)
	}
	return all
}

// Variable is the environment variable that has the address of a binding:
// WAXO_KEYVALUE_URL, or WAXO_KEYVALUE_CACHE_URL for the binding "cache".
func Variable(id, binding string) string {
	_, name, _ := strings.Cut(id, ":")
	if binding != capability.DefaultBinding {
		name += "_" + binding
	}
	return "WAXO_" + strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(name)) + "_URL"
}

// Provide has every service of specs be of one kind, embedded or container, whatever
// specs say. Plugins stay: they have no service of ours. Empty leaves specs alone.
func Provide(specs []manifest.Bind, provider string) {
	if provider == "" {
		return
	}
	for i := range specs {
		if s := &specs[i]; manifest.HasService(s.Capability) && s.Provider != manifest.ProviderPlugin {
			s.Provider, s.URL = provider, ""
			if provider != manifest.ProviderContainer {
				s.Image = ""
			}
		}
	}
}

// FromEnvironment has the services of specs be where environment variables say:
// those of Variable.
func FromEnvironment(specs []manifest.Bind, lookup func(string) (string, bool)) error {
	for i := range specs {
		if s := &specs[i]; manifest.HasService(s.Capability) {
			if err := fromVariable(s, Variable(s.Capability, s.Name), lookup); err != nil {
				return err
			}
		}
	}
	return nil
}

// FromOriginal does the same with the variables of the original host, which are
// for default bindings: REDIS_URL, NATS_URL and what goes with that.
func FromOriginal(specs []manifest.Bind, lookup func(string) (string, bool)) error {
	for i := range specs {
		s := &specs[i]
		o, ok := originals[s.Capability]
		if !ok || s.Name != capability.DefaultBinding {
			continue
		}
		if err := fromVariable(s, o.url, lookup); err != nil {
			return err
		}
		s.Config = maps.Clone(s.Config)
		for variable, key := range o.config {
			if v, ok := lookup(variable); ok && v != "" {
				if s.Config == nil {
					s.Config = make(map[string]string)
				}
				s.Config[key] = strings.ReplaceAll(v, "$", "$$")
			}
		}
	}
	return nil
}

// originals are the variables of the original host.
var originals = map[string]struct {
	url    string
	config map[string]string // variables by what they set
}{
	capability.KeyValue: {url: "REDIS_URL"},
	capability.Messaging: {url: "NATS_URL", config: map[string]string{
		"NATS_SUBSCRIPTION":    messaging.KeySubscriptions,
		"NATS_QUEUEGROUP_NAME": messaging.KeyQueueGroup,
		"NATS_CLIENT_JWT":      messaging.KeyClientJWT,
		"NATS_CLIENT_SEED":     messaging.KeyClientSeed,
	}},
	capability.EventStreams: {url: "NATS_URL", config: map[string]string{
		"NATS_CLIENT_JWT":  messaging.KeyClientJWT,
		"NATS_CLIENT_SEED": messaging.KeyClientSeed,
	}},
}

// Default is where the services are that a production host expects where nothing
// else was said; "" where it has to be said.
func Default(id string) string {
	switch id {
	case capability.KeyValue:
		return keyvalue.DefaultURL
	case capability.Messaging, capability.EventStreams:
		return messaging.DefaultURL
	}
	return ""
}

func fromVariable(s *manifest.Bind, variable string, lookup func(string) (string, bool)) error {
	v, ok := lookup(variable)
	if !ok || v == "" {
		return nil
	}
	if !strings.Contains(v, "://") {
		return fmt.Errorf("%s is %q, which is not an address such as redis://127.0.0.1:6379/0", variable, v)
	}
	*s = manifest.Bind{
		Capability: s.Capability, Name: s.Name, Provider: manifest.ProviderURL, Config: s.Config,
		URL:    strings.ReplaceAll(v, "$", "$$"), // it has no variables of its own
		Origin: variable,
	}
	return nil
}
