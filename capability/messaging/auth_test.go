package messaging_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/messaging"
)

// guarded runs a server that does not trust its clients.
func guarded(t testing.TB, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not answer")
	}
	return s.Addr().String()
}

func bindWith(t testing.TB, config map[string]string) (*messaging.Provider, error) {
	t.Helper()
	p := messaging.New(nil)
	err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil)
	if err == nil {
		t.Cleanup(func() { p.Close(t.Context()) })
	} else if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows a secret: %v", err)
	}
	return p, err
}

func TestUserAndToken(t *testing.T) {
	addr := guarded(t, &server.Options{Username: "user", Password: "secret"})
	if _, err := bindWith(t, map[string]string{"url": "nats://user:secret@" + addr}); err != nil {
		t.Error(err)
	}
	for _, who := range []string{"", "user:wrong-secret@", "secret@"} {
		_, err := bindWith(t, map[string]string{"url": "nats://" + who + addr})
		is(t, err, capability.CodeInvalid, "refuses the connection", "check user and password", addr)
	}
	addr = guarded(t, &server.Options{Authorization: "secret-token"})
	if _, err := bindWith(t, map[string]string{"url": "nats://secret-token@" + addr}); err != nil {
		t.Error(err)
	}
	_, err := bindWith(t, map[string]string{"url": "tls://secret-token@" + addr})
	is(t, err, capability.CodeUnavailable, "secure connection not available")
}

// TestPermissions: what the server forbids is denied at once, each time, and what
// it allows is not.
func TestPermissions(t *testing.T) {
	addr := guarded(t, &server.Options{Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"open.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"open.>", "_INBOX.>"}},
	}}}})
	url := "nats://u:p@" + addr
	p, err := bindWith(t, map[string]string{"url": url})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 3 {
		is(t, publish(t.Context(), p, "closed.a", "", ""), capability.CodeDenied, `"closed.a"`, "does not let")
		if err := publish(t.Context(), p, "open.a", "", ""); err != nil {
			t.Error(err)
		}
		_, err = request(t.Context(), p, "closed.b", "", time.Hour)
		is(t, err, capability.CodeDenied, `"closed.b"`)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("that took %v", took)
	}
	if _, err := bindWith(t, map[string]string{"url": url, "subscriptions": "open.x"}); err != nil {
		t.Error(err)
	}
	_, err = bindWith(t, map[string]string{"url": url, "subscriptions": "open.x,closed.x"})
	is(t, err, capability.CodeInvalid, "subscribe to \"closed.x\"")
}

// pair makes a key pair and tells its public key.
func pair(t testing.TB, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	keys, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keys, public
}

// TestUserJWT: a user whose JWT an account signed comes in with its seed, and
// with no other.
func TestUserJWT(t *testing.T) {
	operator, operatorKey := pair(t, nkeys.CreateOperator)
	account, accountKey := pair(t, nkeys.CreateAccount)
	user, userKey := pair(t, nkeys.CreateUser)
	accountToken, err := jwt.NewAccountClaims(accountKey).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	userToken, err := jwt.NewUserClaims(userKey).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(accountKey, accountToken); err != nil {
		t.Fatal(err)
	}
	url := "nats://" + guarded(t, &server.Options{TrustedKeys: []string{operatorKey}, AccountResolver: resolver})
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	p, err := bindWith(t, map[string]string{"url": url, messaging.KeyClientJWT: userToken, messaging.KeyClientSeed: string(seed)})
	if err != nil {
		t.Fatal(err)
	}
	other, err := natsgo.Connect(url, natsgo.UserJWTAndSeed(userToken, string(seed)))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Subscribe("echo", func(m *natsgo.Msg) { m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	if reply, err := request(t.Context(), p, "echo", "hello", 0); err != nil || reply != "hello" {
		t.Error(reply, err)
	}
	stranger, _ := pair(t, nkeys.CreateUser)
	strangersSeed, err := stranger.Seed()
	if err != nil {
		t.Fatal(err)
	}
	for config, want := range map[string]string{"": "refuses the connection", string(strangersSeed): "refuses the connection", "not a seed": "is no seed of an nkey"} {
		c := map[string]string{"url": url}
		if config != "" {
			c[messaging.KeyClientJWT], c[messaging.KeyClientSeed] = userToken, config
		}
		_, err := bindWith(t, c)
		is(t, err, capability.CodeInvalid, want)
		if err != nil && config != "" && strings.Contains(err.Error(), config) {
			t.Errorf("the error shows the seed: %v", err)
		}
	}
}
