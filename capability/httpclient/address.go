package httpclient

import (
	"net/netip"
	"strings"
	"sync"
)

// reach says who is meant to reach an address.
type reach uint8

const (
	public   reach = iota // everybody
	internal              // those of one network or one machine
	special               // nobody who does not know what it does
)

// block is a range of addresses, and what it is in the words of a denial.
type block struct {
	prefix netip.Prefix
	reach  reach
	what   string
}

// blocks are the ranges that are not simply public, those within others first:
// the registries of special-purpose addresses (RFC 6890 and its successors) and
// the metadata services of clouds. Outside of them all of IPv4 is public, and of
// IPv6 what 2000::/3 holds.
var blocks = sync.OnceValue(func() (all []block) {
	add := func(r reach, what string, prefixes ...string) {
		for _, p := range prefixes {
			all = append(all, block{netip.MustParsePrefix(p), r, what})
		}
	}
	add(special, "a cloud's metadata service", "169.254.169.254/32", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128")
	add(special, "no address of a host", "0.0.0.0/8", "::/128")
	add(internal, "a loopback address", "127.0.0.0/8", "::1/128")
	add(internal, "a private address", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
	add(internal, "an address that a provider's customers share", "100.64.0.0/10")
	add(special, "a link-local address", "169.254.0.0/16", "fe80::/10", "fec0::/10")
	add(special, "a multicast address", "224.0.0.0/4", "ff00::/8")
	add(special, "a reserved address", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20", "64:ff9b:1::/48", "::/96")
	return all
})

// translated are the ranges of IPv6 whose addresses are dialled as one of IPv4,
// and where that stands in them: NAT64 and 6to4.
var translated = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

var globalUnicast = netip.MustParsePrefix("2000::/3")

// classify tells what an address is.
func classify(a netip.Addr) (reach, string) {
	a = a.Unmap().WithZone("")
	for _, t := range translated {
		if !t.prefix.Contains(a) {
			continue
		}
		bytes := a.As16()
		if r, what := classify(netip.AddrFrom4([4]byte(bytes[t.at:]))); r != public {
			return special, what + " inside one of IPv6"
		}
		return public, ""
	}
	for _, b := range blocks() {
		if b.prefix.Contains(a) {
			return b.reach, b.what
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return special, "a reserved address"
	}
	return public, ""
}

// neverPublic tells whether a name cannot be one of the public DNS: one label, or
// a top-level domain that is kept for local use (RFC 6761, RFC 6762, RFC 8375,
// and "internal").
func neverPublic(host string) bool {
	if !strings.Contains(host, ".") {
		return true
	}
	for _, domain := range []string{".localhost", ".local", ".internal", ".home.arpa", ".localdomain", ".lan"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

// oddAddress tells whether a host is meant to be an address of IPv4 and not
// spelled as one: resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 in their own
// ways.
func oddAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
