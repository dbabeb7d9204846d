package httpclient

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// settings are a binding's configuration.
type settings struct {
	policy      *policy
	timeout     time.Duration
	maxResponse int64
	redirects   int
	proxy       func(*http.Request) (*url.URL, error) // nil: none
}

// read reads a binding's configuration. No error of it shows a password.
func (p *Provider) read(b capability.Binding) (settings, error) {
	s := settings{timeout: 20 * time.Second, maxResponse: p.opts.MaxResponse, redirects: 10, proxy: p.opts.Proxy}
	allow, listed := "", false
	for key, value := range b.Config {
		var err error
		switch key {
		case "allow":
			allow, listed = value, true
		case "timeout":
			s.timeout, err = parseTimeout(value)
		case "max_response":
			s.maxResponse, err = parseSize(value)
		case "redirects":
			s.redirects, err = parseRedirects(value)
		case "proxy":
			s.proxy, err = parseProxy(value)
		case "url":
			err = invalid("wascap:http_client has no url: the guest says where a request goes, and allow in its config where it may go")
		default:
			err = invalid("wascap:http_client has no configuration key %q: there are allow, timeout, max_response, redirects and proxy", key)
		}
		if err != nil {
			return s, err
		}
	}
	var err error
	s.policy, err = newPolicy(b, allow, listed)
	return s, err
}

func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, invalid("timeout is %q; write a number and ms, s or m, such as 5s", text)
	}
	return d, nil
}

func parseSize(text string) (int64, error) {
	digits, unit := text, int64(1)
	for name, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if d, ok := strings.CutSuffix(text, name); ok {
			digits, unit = strings.TrimSpace(d), size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return 0, invalid("max_response is %q; write a number of bytes below 2GiB, or one with KiB, MiB or GiB, such as 32MiB", text)
	}
	return n * unit, nil
}

func parseRedirects(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 100 {
		return 0, invalid("redirects is %q; write a number from 0, for none, to 100", text)
	}
	return n, nil
}

func parseProxy(text string) (func(*http.Request) (*url.URL, error), error) {
	if text == "none" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err == nil && u.Hostname() != "" {
		switch u.Scheme {
		case "http", "https", "socks5", "socks5h":
			return http.ProxyURL(u), nil
		}
	}
	return nil, invalid("proxy is no address of a proxy such as http://127.0.0.1:3128 or socks5://127.0.0.1:1080, and not none")
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
