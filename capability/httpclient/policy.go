package httpclient

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/capability"
)

// policy says where the guest of a binding may go.
type policy struct {
	binding string
	open    bool // everywhere
	listed  bool // to what names and networks name; else to public addresses
	names   []nameRule
	nets    []netRule
}

// nameRule allows hosts by their name.
type nameRule struct {
	name  string // lower case; with below, "" is every host
	below bool   // the hosts below it, not itself
	port  uint16 // 0: any
}

// netRule allows addresses.
type netRule struct {
	prefix netip.Prefix
	port   uint16 // 0: any
}

func newPolicy(b capability.Binding, allow string, listed bool) (*policy, error) {
	p := &policy{binding: b.Name, listed: listed, open: b.Development && !listed}
	if !listed {
		return p, nil
	}
	for entry := range strings.SplitSeq(allow, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := p.add(strings.ToLower(entry)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add reads one entry of an allow-list.
func (p *policy) add(entry string) error {
	wrong := func(why string) error {
		return invalid("allow holds %q, %s; write hosts and addresses such as api.example.com, *.example.com, 127.0.0.1:9000, [::1]:9000 or 10.0.0.0/8", entry, why)
	}
	if strings.Contains(entry, "://") {
		return wrong("which is a URL")
	}
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		p.nets = append(p.nets, netRule{prefix: prefix.Masked()})
		return nil
	}
	host, port, err := splitPort(entry)
	if err != nil {
		return wrong(err.Error())
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap().WithZone("")
		p.nets = append(p.nets, netRule{netip.PrefixFrom(addr, addr.BitLen()), port})
		return nil
	}
	rule := nameRule{name: strings.TrimSuffix(host, "."), port: port}
	switch rest, ok := strings.CutPrefix(rule.name, "*."); {
	case rule.name == "*":
		rule.name, rule.below = "", true
	case ok:
		rule.name, rule.below = rest, true
	}
	if !isHost(rule.name) && !(rule.name == "" && rule.below) || oddAddress(rule.name) {
		return wrong("which is no host")
	}
	p.names = append(p.names, rule)
	return nil
}

// splitPort takes "host", "host:port", "::1", "[::1]" and "[::1]:port" apart.
func splitPort(entry string) (host string, port uint16, err error) {
	host, digits := entry, ""
	switch rest, bracket := strings.CutPrefix(entry, "["); {
	case bracket:
		var ok bool
		if host, digits, ok = strings.Cut(rest, "]"); !ok {
			return "", 0, fmt.Errorf("which has no closing bracket")
		}
		if digits == "" {
			return host, 0, nil
		}
		digits = strings.TrimPrefix(digits, ":")
	case strings.Count(entry, ":") == 1:
		host, digits, _ = strings.Cut(entry, ":")
	default:
		return host, 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("which has no port from 1 to 65535")
	}
	return host, uint16(n), nil
}

// isHost tells whether a name is one that DNS could hold, or a file of hosts.
func isHost(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return name != "" && name[0] != '.' && name[len(name)-1] != '.' && !strings.Contains(name, "..")
}

// target is the host and the port that a URL leads to.
type target struct {
	host string     // lower case, without a dot at its end
	addr netip.Addr // where the host is an address
	port uint16
}

// targetOf checks whether a URL can be gone to at all.
func targetOf(u *url.URL) (t target, err error) {
	port := u.Port()
	switch {
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme != "http" && u.Scheme != "https":
		return t, invalid("a request goes to http:// or https://, not to %q", quotable(u.Scheme+"://"))
	}
	host := u.Hostname()
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return t, invalid("the URL has the port %q; there are 1 to 65535", quotable(port))
	}
	t.port = uint16(n)
	if t.addr, err = netip.ParseAddr(host); err == nil {
		t.host = t.addr.String()
		return t, nil
	}
	t.host = strings.TrimSuffix(strings.ToLower(host), ".")
	switch {
	case host == "":
		return t, invalid("the URL names no host: the path of a request is an absolute URL, such as https://example.com/")
	case oddAddress(host):
		return t, invalid("the host %q is meant to be an address, it seems: write it as four decimal numbers, such as 192.0.2.1", quotable(host))
	case !isHost(t.host):
		return t, invalid("the host %q is none: of other letters than a to z write the form with xn--", quotable(host))
	}
	return t, nil
}

// entry is what an allow-list would name the target with: a host, or an address
// with its port.
func (t target) entry() string {
	if t.addr.IsValid() {
		return netip.AddrPortFrom(t.addr.WithZone(""), t.port).String()
	}
	return t.host
}

// permitsName decides what can be decided before the host is looked up.
func (p *policy) permitsName(t target) error {
	if t.addr.IsValid() {
		return p.permits(t, t.addr)
	}
	if !p.listed || len(p.nets) > 0 {
		return nil // that depends on its address
	}
	if named, _ := p.named(t); !named {
		return p.denied(t, t.entry(), "is not in the allow-list", netip.Addr{})
	}
	return nil
}

// permitsProxied decides alone, where a proxy will look the host up.
func (p *policy) permitsProxied(t target) error {
	if t.addr.IsValid() || p.open {
		return nil // it was decided
	}
	named, exactly := p.named(t)
	switch {
	case p.listed && !named:
		return p.denied(t, t.entry(), "is not in the allow-list", netip.Addr{})
	case neverPublic(t.host) && !exactly:
		return p.denied(t, t.host, "is a name of a private network", netip.Addr{})
	}
	return nil
}

// permits decides on the address that is dialled for a host.
func (p *policy) permits(t target, addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if p.open {
		return nil
	}
	for _, r := range p.nets {
		if r.prefix.Contains(addr) && (r.port == 0 || r.port == t.port) {
			return nil
		}
	}
	named, exactly := p.named(t)
	is, what := classify(addr)
	switch {
	case p.listed && !named:
		return p.denied(t, t.entry(), "is not in the allow-list", netip.Addr{})
	case is == public, is == internal && exactly:
		return nil
	case t.addr.IsValid():
		return p.denied(t, t.entry(), "is "+what, netip.Addr{})
	case is == internal:
		return p.denied(t, t.host, "has "+what, addr)
	}
	return p.denied(t, "ADDRESS", "has "+what+", which must be named itself", addr)
}

// named tells whether the allow-list names a host, and whether by its own name.
func (p *policy) named(t target) (named, exactly bool) {
	for _, r := range p.names {
		if r.port != 0 && r.port != t.port {
			continue
		}
		switch {
		case !r.below && r.name == t.host:
			return true, true
		case r.below && (r.name == "" || strings.HasSuffix(t.host, "."+r.name)):
			named = true
		}
	}
	return named, false
}

// denied is the error for a target, with the entry that would let it pass. What a
// name resolved to is for developers alone.
func (p *policy) denied(t target, entry, why string, resolved netip.Addr) error {
	e := &capability.Error{Code: capability.CodeDenied}
	if resolved.IsValid() {
		e.Detail = t.host + " is " + resolved.String()
	}
	bind := "the [[bind]] of " + capability.HTTPClient
	if p.binding != "" && p.binding != capability.DefaultBinding {
		bind += " named " + strconv.Quote(p.binding)
	}
	remedy := fmt.Sprintf("add to %s in waxo.toml: allow = [\"*\", %q]", bind, entry)
	if p.listed {
		remedy = fmt.Sprintf("add %q to allow of %s in waxo.toml", entry, bind)
	}
	e.Message = fmt.Sprintf("the guest may not reach %s (port %d), which %s; to let it, %s", t.host, t.port, why, remedy)
	return e
}

// quotable shortens what a guest or a server wrote, for a message.
func quotable(s string) string {
	const limit = 100
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
