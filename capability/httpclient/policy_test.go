package httpclient_test

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// forbidden are URLs of addresses that no guest reaches by itself; %s is a port.
var forbidden = []struct {
	host string
	code capability.Code
}{
	{"127.0.0.1", capability.CodeDenied},
	{"127.0.0.2", capability.CodeDenied},
	{"0.0.0.0", capability.CodeDenied},
	{"10.0.0.1", capability.CodeDenied},
	{"172.31.255.255", capability.CodeDenied},
	{"192.168.1.1", capability.CodeDenied},
	{"100.64.0.1", capability.CodeDenied},
	{"169.254.169.254", capability.CodeDenied},
	{"168.63.129.16", capability.CodeDenied},
	{"224.0.0.1", capability.CodeDenied},
	{"255.255.255.255", capability.CodeDenied},
	{"[::1]", capability.CodeDenied},
	{"[::]", capability.CodeDenied},
	{"[::ffff:127.0.0.1]", capability.CodeDenied},
	{"[::ffff:7f00:1]", capability.CodeDenied},
	{"[0:0:0:0:0:ffff:a9fe:a9fe]", capability.CodeDenied},
	{"[::127.0.0.1]", capability.CodeDenied},
	{"[64:ff9b::7f00:1]", capability.CodeDenied},
	{"[64:ff9b:1::7f00:1]", capability.CodeDenied},
	{"[2002:7f00:1::]", capability.CodeDenied},
	{"[2001:0:1:2::3]", capability.CodeDenied},
	{"[fc00::1]", capability.CodeDenied},
	{"[fd00:ec2::254]", capability.CodeDenied},
	{"[fe80::1]", capability.CodeDenied},
	{"[fe80::1%25lo]", capability.CodeDenied},
	{"[ff02::1]", capability.CodeDenied},
	{"[4000::1]", capability.CodeDenied},

	{"2130706433", capability.CodeInvalid},
	{"0x7f000001", capability.CodeInvalid},
	{"0x7f.1", capability.CodeInvalid},
	{"127.1", capability.CodeInvalid},
	{"0177.0.0.1", capability.CodeInvalid},
	{"017700000001", capability.CodeInvalid},
	{"127.0.0.0x1", capability.CodeInvalid},
	{"127.0.0.1.", capability.CodeInvalid},
	{"127.0.0.1..", capability.CodeInvalid},
	{"127.0.0.01", capability.CodeInvalid},
	{"①②⑦.0.0.1", capability.CodeInvalid},
	{"%31%32%37.0.0.1", capability.CodeInvalid},
	{"localhost", capability.CodeDenied},
	{"LOCALHOST", capability.CodeDenied},
	{"user:password@localhost", capability.CodeDenied},
	{"example.com:80@127.0.0.1", capability.CodeDenied},
	{"example.com%00@127.0.0.1", capability.CodeDenied},
}

func TestForbiddenAddresses(t *testing.T) {
	v := newVictim(t, "127.0.0.1:0")
	p := bind(t, nil, nil)
	for _, f := range forbidden {
		target := "http://" + f.host + ":" + v.port + "/"
		_, err := send(t, p, httppb.Request{Path: target})
		if f.code == capability.CodeDenied {
			is(t, err, f.code, "port "+v.port, `[[bind]] of wascap:http_client in waxo.toml: allow = ["*", "`)
		} else {
			is(t, err, f.code)
		}
		if t.Failed() {
			t.Fatal(target)
		}
		if strings.Contains(err.Error(), "password") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestForbiddenAnswers: names are judged by what they resolve to.
func TestForbiddenAnswers(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "fe80::1"} {
		opts := &httpclient.Options{Resolver: resolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(addr)} })}
		for _, allow := range []string{"", "*", "*.test"} {
			config := map[string]string{"allow": allow}
			if allow == "" {
				config = nil
			}
			_, err := send(t, bind(t, opts, config), httppb.Request{Path: "http://name.test:1/"})
			is(t, err, capability.CodeDenied, "name.test (port 1)", "has ")
			if strings.Contains(err.Error(), addr) {
				t.Errorf("the guest learns what the name resolves to: %v", err)
			}
			if detail := capability.AsError(err).Detail; !strings.Contains(detail, "name.test is "+addr) {
				t.Errorf("the developer does not learn it: %q", detail)
			}
		}
	}
}

// TestRebinding has a name whose address changes between look-ups.
func TestRebinding(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // each request is a look-up
		w.WriteHeader(http.StatusNoContent)
	})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	v := newVictim(t, "127.0.0.2:"+port)
	var lookUps atomic.Int32
	opts := &httpclient.Options{Resolver: resolver(func(host string) []netip.Addr {
		if lookUps.Add(1)/2%2 == 0 { // of either family
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	})}
	p := bind(t, opts, map[string]string{"allow": "*, 127.0.0.1:" + port})
	passed, denied := 0, 0
	for range 20 {
		if _, err := send(t, p, httppb.Request{Path: "http://rebind.test:" + v.port + "/"}); err == nil {
			passed++
		} else {
			is(t, err, capability.CodeDenied, "has a loopback address")
			denied++
		}
	}
	if passed == 0 || denied == 0 {
		t.Errorf("%d passed, %d were denied: the test proves nothing", passed, denied)
	}
}

// TestExactNamesGrantPrivateAddresses, but not those that no name should have.
func TestExactNames(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hi")) })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	var answer atomic.Value
	answer.Store("127.0.0.1")
	opts := &httpclient.Options{Resolver: resolver(func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr(answer.Load().(string))}
	})}
	for _, allow := range []string{"db.test", "db.test:" + port, "DB.test.", "other.test,db.test", "*.test, 127.0.0.0/8", "127.0.0.1:" + port, "::ffff:127.0.0.1"} {
		get(t, bind(t, opts, map[string]string{"allow": allow}), "http://Db.test:"+port+"/", 200, "hi")
	}
	for _, allow := range []string{"", "other.test", "test", "b.test", "db.test:1", "*.db.test", "127.0.0.1:1", "127.0.0.2", "10.0.0.0/8"} {
		_, err := send(t, bind(t, opts, map[string]string{"allow": allow}), httppb.Request{Path: "http://db.test:" + port + "/"})
		is(t, err, capability.CodeDenied, "db.test", "in waxo.toml")
	}
	answer.Store("169.254.169.254")
	_, err := send(t, bind(t, opts, map[string]string{"allow": "db.test"}), httppb.Request{Path: "http://db.test/"})
	is(t, err, capability.CodeDenied, "metadata service", `"ADDRESS"`)
}

// TestNoLookUp: what the list does not name is not asked of DNS either.
func TestNoLookUp(t *testing.T) {
	opts := &httpclient.Options{Resolver: resolver(func(host string) []netip.Addr {
		t.Errorf("%s was looked up", host)
		return nil
	})}
	p := bind(t, opts, map[string]string{"allow": "example.com"})
	_, err := send(t, p, httppb.Request{Path: "http://secret.attacker.test/"})
	is(t, err, capability.CodeDenied, `add "secret.attacker.test" to allow`)
}

// TestRedirectsAreRequests leads guests from a server that they may reach to
// others.
func TestRedirectsAreRequests(t *testing.T) {
	var location atomic.Value
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", location.Load().(string))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	newVictim(t, "127.0.0.2:"+port)
	v := newVictim(t, "127.0.0.1:0")
	p := bind(t, nil, map[string]string{"allow": "127.0.0.1:" + port})
	for _, host := range []string{"127.0.0.2:" + port, "127.0.0.1:" + v.port, "localhost:" + v.port, "169.254.169.254", "[::1]:" + port, "[::ffff:127.0.0.2]:" + port, "10.0.0.1", "127.0.0.1:" + port + "@127.0.0.2:" + port} {
		location.Store("http://" + host + "/")
		_, err := send(t, p, httppb.Request{Method: "POST", Path: server.URL, Body: []byte("x")})
		is(t, err, capability.CodeDenied)
	}
	for _, other := range []string{"http://2130706434:" + port, "http://0x7f.2:" + port, "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:" + v.port + "/"} {
		location.Store(other)
		_, err := send(t, p, httppb.Request{Path: server.URL})
		is(t, err, capability.CodeInvalid)
	}
}

func TestDevelopmentGoesEverywhere(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hi")) })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	get(t, open(t, nil), server.URL, 200, "hi")
	get(t, open(t, nil), "http://localhost:"+port, 200, "hi")
	// An allow-list is one in development too.
	_, err := send(t, open(t, map[string]string{"allow": "example.com"}), httppb.Request{Path: server.URL})
	is(t, err, capability.CodeDenied, `add "127.0.0.1:`+port+`"`)
}

// TestProxied has a proxy on loopback, which is the operator's choice, and looks
// at what goes through it.
func TestProxied(t *testing.T) {
	var asked atomic.Value
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Host + " " + r.Header.Get("Proxy-Authorization"))
		if r.URL.Path == "/in" {
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
			return
		}
		w.Write([]byte("proxied"))
	})
	address := strings.Replace(proxy.URL, "//", "//user:secret@", 1)
	p := bind(t, nil, map[string]string{"proxy": address})
	get(t, p, "http://example.com/", 200, "proxied")
	if got := asked.Swap(""); got != "example.com Basic dXNlcjpzZWNyZXQ=" {
		t.Errorf("the proxy was asked for %q", got)
	}
	for _, host := range []string{"localhost", "db", "db.internal", "printer.local", "10.0.0.1", "127.0.0.1", "[::1]", "169.254.169.254"} {
		_, err := send(t, p, httppb.Request{Path: "http://" + host + "/"})
		is(t, err, capability.CodeDenied)
		if got := asked.Load(); got != "" {
			t.Errorf("the proxy was asked for %q", got)
		}
	}
	_, err := send(t, p, httppb.Request{Path: "http://2130706433/"})
	is(t, err, capability.CodeInvalid)
	_, err = send(t, p, httppb.Request{Path: "http://example.com/in"})
	is(t, err, capability.CodeDenied, "10.0.0.1")
	_, err = send(t, p, httppb.Request{Path: "https://example.com/"}) // it answers CONNECT with a text
	is(t, err, capability.CodeUnavailable)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}

	get(t, bind(t, nil, map[string]string{"proxy": address, "allow": "db.internal, 10.0.0.1"}), "http://db.internal/", 200, "proxied")
	_, err = send(t, bind(t, nil, map[string]string{"proxy": address, "allow": "example.com, 10.0.0.1"}), httppb.Request{Path: "http://example.org/"})
	is(t, err, capability.CodeDenied, "not in the allow-list")

	// The provider's own proxy, which a binding can do without.
	mine := &httpclient.Options{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }}
	get(t, bind(t, mine, nil), "http://example.com/", 200, "proxied")
	_, err = send(t, bind(t, mine, map[string]string{"proxy": "none"}), httppb.Request{Path: "http://127.0.0.1:1/"})
	is(t, err, capability.CodeDenied, "loopback")
	direct := &httpclient.Options{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
	_, err = send(t, bind(t, direct, nil), httppb.Request{Path: "http://localhost:1/"})
	is(t, err, capability.CodeDenied, "loopback")
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"colour", "red", `no configuration key "colour"`},
		{"url", "http://example.com", "allow in its config"},
		{"allow", "https://example.com", "a URL"},
		{"allow", "example.com/path", "no host"},
		{"allow", "exa mple.com", "no host"},
		{"allow", "*example.com", "no host"},
		{"allow", "a.*.com", "no host"},
		{"allow", "bücher.example", "no host"},
		{"allow", "127.1", "no host"},
		{"allow", "example.com:0", "no port"},
		{"allow", "example.com:http", "no port"},
		{"allow", "[::1", "no closing bracket"},
		{"allow", "[::1]:70000", "no port"},
		{"timeout", "5", "such as 5s"},
		{"timeout", "-1s", "such as 5s"},
		{"max_response", "1MB", "such as 32MiB"},
		{"max_response", "-1", "such as 32MiB"},
		{"max_response", "4GiB", "below 2GiB"},
		{"redirects", "many", "from 0"},
		{"redirects", "-1", "from 0"},
		{"proxy", "secret@example.com", "no address of a proxy"},
		{"proxy", "ftp://user:secret@example.com", "no address of a proxy"},
	} {
		err := httpclient.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{c.key: c.value}}, nil)
		is(t, err, capability.CodeInvalid, c.want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
