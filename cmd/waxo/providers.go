package main

import (
	"fmt"
	"sync/atomic"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// choice is where the services behind all capabilities of a guest are: embedded,
// container or, for "", where waxo.toml says. It may change at any time.
type choice struct{ value atomic.Value }

// choices are what a choice may be, in the order in which a key goes through them.
var choices = []string{"", manifest.ProviderEmbedded, manifest.ProviderContainer}

func (c *choice) get() string {
	v, _ := c.value.Load().(string)
	return v
}

// set refuses what is no choice.
func (c *choice) set(v string) error {
	for _, known := range choices {
		if v == known {
			c.value.Store(v)
			return nil
		}
	}
	return usageError{fmt.Errorf("there are no providers %q; take embedded or container", v)}
}

// next goes on to the choice after this one.
func (c *choice) next() {
	for i, v := range choices {
		if v == c.get() {
			c.value.Store(choices[(i+1)%len(choices)])
			return
		}
	}
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
