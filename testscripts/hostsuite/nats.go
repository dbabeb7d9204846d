package hostsuite

import (
	"context"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/emulators/nats"
)

// natsFake is the NATS server of a script, with a client.
type natsFake struct {
	server *nats.Server
	conn   *natsgo.Conn

	mu   sync.Mutex
	seen map[string]*natsgo.Subscription // by subject
}

func startNATS(ctx context.Context) (*natsFake, error) {
	server, err := nats.Start(ctx, nil)
	if err != nil {
		return nil, err
	}
	conn, err := natsgo.Connect(server.URL())
	if err != nil {
		server.Close()
		return nil, err
	}
	return &natsFake{server: server, conn: conn, seen: make(map[string]*natsgo.Subscription)}, nil
}

// watch has messages to a subject kept, for expect.
func (f *natsFake) watch(subject string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub, err := f.conn.SubscribeSync(subject)
	if err != nil {
		return err
	}
	f.seen[subject] = sub
	return f.conn.Flush()
}

// next waits for the next message to a subject that is watched.
func (f *natsFake) next(ctx context.Context, subject string) (string, error) {
	f.mu.Lock()
	sub := f.seen[subject]
	f.mu.Unlock()
	if sub == nil {
		return "", natsgo.ErrBadSubscription
	}
	m, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return "", err
	}
	return string(m.Data), nil
}

func (f *natsFake) publish(subject, body string) error {
	if err := f.conn.Publish(subject, []byte(body)); err != nil {
		return err
	}
	return f.conn.Flush()
}

func (f *natsFake) request(ctx context.Context, subject, body string) (string, error) {
	m, err := f.conn.RequestWithContext(ctx, subject, []byte(body))
	if err != nil {
		return "", err
	}
	return string(m.Data), nil
}

func (f *natsFake) close() {
	f.conn.Close()
	f.server.Close()
}
