package devhost

import (
	"testing"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// TestLimitsReachThePool: what a manifest says of instances is not lost on its
// way to them.
func TestLimitsReachThePool(t *testing.T) {
	m := manifest.Defaults()
	m.Limits.Instances, m.Limits.TotalMemory, m.Limits.Memory, m.Limits.Queue = 3, 5<<20, 1<<20, 7
	o := poolOptions(&Guest{}, LimitsOf(m).Defaults())
	if o.MaxInstances != 3 || o.MemoryTotal != 5<<20 || o.MemoryLimit != 1<<20 || o.MaxWaiting != 7 || o.CallTimeout != manifest.DefaultCallTimeout {
		t.Errorf("got %+v", o)
	}
}
