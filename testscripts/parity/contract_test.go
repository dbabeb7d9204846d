package parity_test

import (
	"context"
	"slices"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// vendors is a provider of a vendor's own capability. What is set is wrong with it.
type vendors struct {
	bindings    capability.Bindings[struct{}]
	forgetful   bool // binds twice
	indifferent bool // takes any configuration
	silent      bool // answers what it does not know
}

func (v *vendors) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: "vendor:thing", Name: "a thing", Version: "1", Operations: []string{"Do"}}
}

func (v *vendors) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	if err := b.NoConfig("vendor:thing"); err != nil && !v.indifferent {
		return err
	}
	if v.forgetful && v.bindings.Has(b.BindingID) {
		return nil
	}
	return v.bindings.Add(b.BindingID, struct{}{})
}

func (v *vendors) Call(_ context.Context, c capability.Call) ([]byte, error) {
	b, err := v.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	if c.Operation != "Do" && !v.silent {
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "there is no such operation"}
	}
	return nil, nil
}

func (v *vendors) Unbind(ctx context.Context, id capability.BindingID) error {
	_, _, err := v.bindings.Remove(ctx, id)
	return err
}

func (v *vendors) Close(ctx context.Context) error {
	_, err := v.bindings.Close(ctx)
	return err
}

// TestContract: the provider of a capability that nobody knows is held to what is
// asked of all of them.
func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		made func() *vendors
		want []string // the rules that are broken
	}{
		"good":        {func() *vendors { return &vendors{} }, nil},
		"forgetful":   {func() *vendors { return &vendors{forgetful: true} }, []string{"CAP-34"}},
		"indifferent": {func() *vendors { return &vendors{indifferent: true} }, []string{"CAP-35"}},
		"silent":      {func() *vendors { return &vendors{silent: true} }, []string{"CAP-41"}},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := parity.Contract("vendor:thing").Run(t.Context(), parity.Target{
				Name: name, Provider: c.made(), Open: func(context.Context) (capability.Provider, error) { return c.made(), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, r := range results {
				if r.Skipped != "" {
					t.Errorf("%s is skipped: %s", r.Case, r.Skipped)
				}
				if len(r.Failures) > 0 {
					broken = append(broken, r.Rules...)
				}
			}
			if !slices.Equal(broken, c.want) {
				t.Errorf("broken are %q, want %q", broken, c.want)
			}
		})
	}
}
