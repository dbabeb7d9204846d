package cli

import (
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wascap"
)

func TestUpdatesAreThoseOfTheIssuerAndWhomToTrust(t *testing.T) {
	p := &plan{claims: &wascap.Claims{Issuer: "A1", Capabilities: []string{"wascc:http_server"}}, capabilities: []string{capability.HTTPServer}}
	f := &runFlags{}
	f.plugins.Trust = []string{"A2"}
	if u, err := f.updates(p); u != nil || err != nil {
		t.Errorf("without --live-update: %v, %v", u, err)
	}
	f.update.on = true
	u, err := f.updates(p)
	if err != nil || strings.Join(u.Trust, " ") != "A1 A2" || strings.Join(u.Grant, " ") != "wascc:http_server" {
		t.Errorf("%+v, %v", u, err)
	}
	p.capabilities = []string{capability.KeyValue}
	if _, err := f.updates(p); err == nil || !strings.Contains(err.Error(), "do not grant wascap:http_server") {
		t.Errorf("without an HTTP server: %v", err)
	}
}
