package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// chunkTimeout bounds how long a snapshot may say nothing.
const chunkTimeout = 10 * time.Second

// Export writes a copy of the state into dir, in the very form that Options.Dir
// takes. dir must be empty or absent. Each stream, its messages and its consumers
// are copied as they are at one moment, while the server goes on serving; that
// moment is not the same for all streams. Streams with memory storage are left
// out. Where there is an error, what stands in dir is no state. Close gives up an
// export that is under way.
func (s *Server) Export(ctx context.Context, dir string) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.New("emulators/nats: export: the server is closed")
	}
	s.exports.Add(1)
	s.mu.Unlock()
	defer s.exports.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if err := s.export(ctx, dir); err != nil {
		return fmt.Errorf("emulators/nats: export: %w", err)
	}
	return nil
}

// export has a second server, which listens nowhere, restore in dir what the
// first one takes snapshots of.
func (s *Server) export(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder %s is not empty", dir)
	}
	conn, err := nats.Connect("", nats.InProcessServer(s.srv), nats.NoReconnect())
	if err != nil {
		return err
	}
	defer conn.Close()
	o := serverOptions(dir)
	o.DontListen = true
	copied, err := run(o, nil)
	if err != nil {
		return err
	}
	defer shutDown(copied)
	account, err := copied.LookupAccount(server.DEFAULT_GLOBAL_ACCOUNT)
	if err != nil {
		return err
	}
	names, err := streamNames(ctx, conn)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyStream(ctx, conn, name, account); err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return nil
}

// ask calls the API of JetStream.
func ask(ctx context.Context, conn *nats.Conn, subject string, request any, answer interface{ ToError() error }) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, chunkTimeout)
	defer cancel()
	msg, err := conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return err
	}
	return answer.ToError()
}

func streamNames(ctx context.Context, conn *nats.Conn) ([]string, error) {
	var names []string
	for {
		var request server.JSApiStreamNamesRequest
		request.Offset = len(names)
		var answer server.JSApiStreamNamesResponse
		if err := ask(ctx, conn, server.JSApiStreams, request, &answer); err != nil {
			return nil, err
		}
		names = append(names, answer.Streams...)
		if len(answer.Streams) == 0 || len(names) >= answer.Total {
			return names, nil
		}
	}
}

// copyStream copies one stream. One that was deleted in the meantime is left out.
func copyStream(ctx context.Context, conn *nats.Conn, name string, to *server.Account) error {
	inbox := nats.NewInbox()
	chunks, err := conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer chunks.Unsubscribe() // the connection is closed soon
	var snapshot server.JSApiStreamSnapshotResponse
	request := server.JSApiStreamSnapshotRequest{DeliverSubject: inbox}
	err = ask(ctx, conn, fmt.Sprintf(server.JSApiStreamSnapshotT, name), request, &snapshot)
	var refused *server.ApiError
	switch {
	case errors.As(err, &refused) && refused.ErrCode == uint16(server.JSStreamNotFoundErr):
		return nil
	case err != nil:
		return err
	}
	read := &snapshotReader{ctx: ctx, chunks: chunks}
	if snapshot.Config.Storage == server.MemoryStorage {
		// The server waits until its snapshot is taken.
		_, err := io.Copy(io.Discard, read)
		return err
	}
	_, err = to.RestoreStreamV2(snapshot.Config, read)
	if err == nil {
		_, err = io.Copy(io.Discard, read) // its end says whether all was well
	}
	return err
}

// snapshotReader reads a snapshot that arrives in messages, each of which is
// acknowledged.
type snapshotReader struct {
	ctx    context.Context
	chunks *nats.Subscription
	rest   []byte
	err    error
}

func (r *snapshotReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.rest, r.err = r.next()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next returns the next chunk, io.EOF where there is none.
func (r *snapshotReader) next() ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.ctx, chunkTimeout)
	defer cancel()
	msg, err := r.chunks.NextMsgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	if len(msg.Data) > 0 {
		if msg.Reply != "" {
			err = msg.Respond(nil)
		}
		return msg.Data, err
	}
	if code := msg.Header.Get("Status"); code != "" && code != "204" {
		return nil, fmt.Errorf("the snapshot failed: %s %s", code, msg.Header.Get("Description"))
	}
	return nil, io.EOF
}
