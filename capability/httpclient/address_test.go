package httpclient

import (
	"net/netip"
	"testing"
)

// TestPublicAddresses are the neighbours of those that are not public, and the ways
// in which public ones may be dressed up; those that are not public are among the
// tests of what is forbidden.
func TestPublicAddresses(t *testing.T) {
	for _, text := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2001:200::1", "2600::1", "2a00:1450:4001::1", "3ffe::1", "2003::1",
		"::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
	} {
		if is, what := classify(netip.MustParseAddr(text)); is != public {
			t.Errorf("%s is %s", text, what)
		}
	}
	for text, want := range map[string]reach{
		"10.0.0.1": internal, "127.255.255.255": internal, "100.127.255.255": internal, "fd12::1": internal,
		"64:ff9b::a00:1": special, "2002:a00:1::": special, "169.254.1.1": special, "fe80::1%eth0": special, "198.19.255.255": special,
		"3fff::1": special, "2001:1ff::1": special, "1000::1": special, "e000::1": special, "0.1.2.3": special, "::2": special,
	} {
		if is, what := classify(netip.MustParseAddr(text)); is != want {
			t.Errorf("%s is %d, %s", text, is, what)
		}
	}
}

func TestNamesThatAreNeverPublic(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "db": true, "a.localhost": true, "metadata.google.internal": true, "router.home.arpa": true, "nas.lan": true,
		"example.com": false, "internal.example.com": false, "local.dev": false,
	} {
		if neverPublic(host) != want {
			t.Errorf("%s: %t", host, !want)
		}
	}
}
