package serve

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/plugincontract"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
)

// dispatcher is the plugin's end of what carries operations to the guest of a
// binding.
type dispatcher struct {
	server *server
	id     capability.BindingID
}

// Dispatch implements capability.Dispatcher.
func (d *dispatcher) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	request := &providerpb.DispatchRequest{ID: plugincontract.ToID(d.id), Operation: operation, Payload: payload}
	if deadline, ok := ctx.Deadline(); ok {
		// Up to a whole millisecond, as 0 means none. An answer after our own
		// deadline finds nobody.
		request.TimeoutMs = max(1, int64((time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
	}
	answers, err := d.server.ask(request)
	if err != nil {
		return capability.Reply{}, err
	}
	select {
	case answer, ok := <-answers:
		if !ok {
			return capability.Reply{}, errNotListening()
		}
		reply := capability.Reply{Build: answer.Build}
		if err := plugincontract.FromFailure(answer.Error); err != nil {
			return reply, err
		}
		reply.Payload = append(into[:0], answer.Payload...)
		return reply, nil
	case <-ctx.Done():
		d.server.forget(request.Number)
		return capability.Reply{}, capability.AsError(context.Cause(ctx))
	}
}

func errNotListening() error {
	return &capability.Error{Code: capability.CodeUnavailable, Message: "the host does not listen to this plugin"}
}

// dispatch is the method of that name: the stream on which the host listens and
// answers.
func (s *server) dispatch(stream grpc.ServerStream) error {
	s.mu.Lock()
	s.stream = stream
	s.mu.Unlock()
	defer s.hangUp(stream)
	for {
		answer := new(providerpb.DispatchAnswer)
		if err := stream.RecvMsg(answer); err != nil {
			return nil // the host went away, or ended the stream
		}
		s.mu.Lock()
		waiting, ok := s.waiting[answer.Number]
		delete(s.waiting, answer.Number)
		s.mu.Unlock()
		if ok {
			waiting <- answer // there is room for the one answer
		}
	}
}

// hangUp fails all that wait on the stream.
func (s *server) hangUp(stream grpc.ServerStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != stream {
		return
	}
	s.stream = nil
	for number, waiting := range s.waiting {
		close(waiting)
		delete(s.waiting, number)
	}
}

// ask sends a request, numbers it, and returns where its answer will come. The
// channel is closed where none will.
func (s *server) ask(request *providerpb.DispatchRequest) (<-chan *providerpb.DispatchAnswer, error) {
	answers := make(chan *providerpb.DispatchAnswer, 1)
	s.mu.Lock()
	stream := s.stream
	if stream == nil {
		s.mu.Unlock()
		return nil, errNotListening()
	}
	s.number++
	request.Number = s.number
	s.waiting[request.Number] = answers
	s.mu.Unlock()
	if err := s.send(stream, request); err != nil {
		s.mu.Lock()
		delete(s.waiting, request.Number)
		s.mu.Unlock()
		return nil, errNotListening()
	}
	return answers, nil
}

// forget tells the host that nobody waits for an answer any more.
func (s *server) forget(number uint64) {
	s.mu.Lock()
	_, waits := s.waiting[number]
	delete(s.waiting, number)
	stream := s.stream
	s.mu.Unlock()
	if waits && stream != nil {
		_ = s.send(stream, &providerpb.DispatchRequest{Number: number, Cancel: true}) // a broken stream ends the request, too
	}
}

func (s *server) send(stream grpc.ServerStream, request *providerpb.DispatchRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return stream.SendMsg(request)
}
