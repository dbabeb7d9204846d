package companion

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrNoEngine says that there is no container engine. Errors of Client.Start match
// it, and those of a Backend may.
var ErrNoEngine = errors.New("no container engine answers")

// endTimeout is how long it may take to end everything.
const endTimeout = 30 * time.Second

// maxLine is the longest line that either side takes.
const maxLine = 1 << 20

// Serve answers requests from in on out until in ends or ctx does; then it gives
// up what is under way, closes the backend, and returns.
func Serve(ctx context.Context, in io.Reader, out io.Writer, backend Backend) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{backend: backend, out: json.NewEncoder(out), cancels: make(map[int64]context.CancelFunc)}
	s.answer(message{Protocol: protocol})

	lines, failed := make(chan []byte), make(chan error, 1)
	// This goroutine ends with in, which the caller's process ends with.
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, maxLine)
		for scanner.Scan() {
			select {
			case lines <- append([]byte(nil), scanner.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
		failed <- scanner.Err()
	}()
	err := s.serve(ctx, lines, failed)
	cancel()
	s.running.Wait()
	ending, done := context.WithTimeout(context.Background(), endTimeout)
	defer done()
	return errors.Join(err, backend.Close(ending))
}

type server struct {
	backend Backend
	running sync.WaitGroup

	mu      sync.Mutex
	out     *json.Encoder
	cancels map[int64]context.CancelFunc // of requests under way
}

func (s *server) serve(ctx context.Context, lines <-chan []byte, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			if !ok {
				return <-failed
			}
			var m message
			if err := json.Unmarshal(line, &m); err != nil {
				return fmt.Errorf("harness/companion: not a line of the protocol: %w", err)
			}
			s.take(ctx, m)
		}
	}
}

// take begins to do what a message asks for.
func (s *server) take(ctx context.Context, m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Cancel != 0 {
		if cancel := s.cancels[m.Cancel]; cancel != nil {
			cancel()
		}
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.cancels[m.ID] = cancel
	s.running.Go(func() {
		defer cancel()
		answer := s.do(ctx, m)
		answer.ID = m.ID
		s.answer(answer)
		s.mu.Lock()
		delete(s.cancels, m.ID)
		s.mu.Unlock()
	})
}

func (s *server) do(ctx context.Context, m message) message {
	var started Started
	var err error
	switch {
	case m.Start != nil:
		started, err = s.backend.Start(ctx, *m.Start)
	case m.Stop != "":
		err = s.backend.Stop(ctx, m.Stop)
	case m.Remove != "":
		err = s.backend.Remove(ctx, m.Remove)
	default:
		err = errors.New("a request that this companion does not know")
	}
	if err != nil {
		return message{Error: err.Error(), NoEngine: errors.Is(err, ErrNoEngine)}
	}
	return message{Started: started}
}

// answer writes one line. Where the other side is gone, in ends as well.
func (s *server) answer(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(m)
}
