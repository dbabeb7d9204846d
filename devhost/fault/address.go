package fault

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// usualPorts are those that a URL may leave out.
var usualPorts = map[string]string{"redis": "6379", "rediss": "6379", "nats": "4222", "tls": "4222", "http": "80", "https": "443"}

// targets are the servers of a binding's url, which may be several with commas
// between them, as host:port. There are none where one of them is not on this
// machine: then what is between here and there is not ours to cut.
func targets(addresses string) []string {
	var all []string
	for address := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || !onThisMachine(u.Hostname()) {
			return nil
		}
		port := u.Port()
		if port == "" {
			port = usualPorts[u.Scheme]
		}
		if port == "" {
			return nil
		}
		all = append(all, net.JoinHostPort(u.Hostname(), port))
	}
	return all
}

func onThisMachine(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// relayed puts relays before the servers of a binding's url, and returns the url
// that leads through them.
func relayed(addresses string) (string, []*relay, error) {
	var relays []*relay
	parts := strings.Split(addresses, ",")
	for i, target := range targets(addresses) {
		r, err := newRelay(target)
		if err != nil {
			closeAll(relays)
			return "", nil, err
		}
		relays = append(relays, r)
		u, err := url.Parse(strings.TrimSpace(parts[i]))
		if err != nil {
			closeAll(relays)
			return "", nil, err
		}
		u.Host = net.JoinHostPort(u.Hostname(), r.port())
		parts[i] = u.String()
	}
	if len(relays) == 0 {
		return "", nil, errors.New("there is nothing to relay")
	}
	return strings.Join(parts, ","), relays, nil
}

func closeAll(relays []*relay) {
	for _, r := range relays {
		r.close()
	}
}
