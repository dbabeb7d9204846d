package grpcclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waxosuit/waxo/capability/internal/grpcclient"
)

// plain codes strings as they are.
type plain struct{}

func (plain) Name() string { return "proto" }
func (plain) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*string))}, nil
}
func (plain) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*string) = string(data.Materialize())
	return nil
}

// server is a real one, of grpc-go, with the methods that a test gives it. All are
// streams to it: on the wire there is no difference.
func server(t testing.TB, methods map[string]grpc.StreamHandler, opts ...grpc.ServerOption) (*grpcclient.Conn, *grpc.Server) {
	t.Helper()
	cert, config := certificate(t)
	desc := grpc.ServiceDesc{ServiceName: "test.Test", HandlerType: (*any)(nil)}
	for name, handler := range methods {
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name, Handler: handler, ServerStreams: true, ClientStreams: true})
	}
	s := grpc.NewServer(append(opts, grpc.Creds(credentials.NewServerTLSFromCert(&cert)), grpc.ForceServerCodecV2(plain{}), grpc.MaxRecvMsgSize(64<<20))...)
	s.RegisterService(&desc, nil)
	l := listen(t)
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); served.Wait() })
	return dial(t, l, config), s
}

// answer makes a method of one message and one answer.
func answer(f func(ctx context.Context, request string) (string, error)) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		var request string
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		response, err := f(stream.Context(), request)
		if err != nil {
			return err
		}
		return stream.SendMsg(&response)
	}
}

var echo = answer(func(_ context.Context, request string) (string, error) { return request, nil })

func call(t testing.TB, c *grpcclient.Conn, method, request string) (string, error) {
	t.Helper()
	var response text
	err := c.Call(within(t), "/test.Test/"+method, &text{request}, &response, 32<<20)
	return response.s, err
}

func TestCalls(t *testing.T) {
	c, _ := server(t, map[string]grpc.StreamHandler{"Echo": echo})
	for _, size := range []int{0, 1, 100, 16 << 10, 1 << 20, 1<<20 + 1, 20 << 20} {
		request := strings.Repeat("x", size)
		if got, err := call(t, c, "Echo", request); err != nil || got != request {
			t.Errorf("the echo of %d bytes has %d: %v", size, len(got), err)
		}
	}
	var calls sync.WaitGroup
	for i := range 64 {
		calls.Go(func() {
			for j := range 30 {
				request := fmt.Sprint(i, j, strings.Repeat("x", i*100))
				if got, err := call(t, c, "Echo", request); err != nil || got != request {
					t.Errorf("the echo of %.10q is %.10q: %v", request, got, err)
				}
			}
		})
	}
	calls.Wait()
}

func TestStatus(t *testing.T) {
	c, _ := server(t, map[string]grpc.StreamHandler{"Fail": answer(func(_ context.Context, request string) (string, error) {
		return "", status.Error(codes.FailedPrecondition, request)
	})})
	for _, message := range []string{"plain", "ü ñ 100% \n\x01", strings.Repeat("%", 2000)} {
		_, err := call(t, c, "Fail", message)
		wantError(t, err, grpcclient.Code(codes.FailedPrecondition), message)
	}
	_, err := call(t, c, "Fail", "")
	wantError(t, err, grpcclient.Code(codes.FailedPrecondition), "status 9 and no message")
	_, err = call(t, c, "Fail", strings.Repeat("long", 10<<10))
	if wantError(t, err, grpcclient.Code(codes.FailedPrecondition), "longlong"); len(err.Error()) > 4<<10 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	_, err = call(t, c, "Nothing", "")
	wantError(t, err, grpcclient.Unimplemented, "Nothing")
	c, _ = server(t, map[string]grpc.StreamHandler{"Echo": echo}, grpc.MaxSendMsgSize(10))
	_, err = call(t, c, "Echo", "more than ten bytes")
	wantError(t, err, grpcclient.ResourceExhausted, "larger than max")
}

func TestAnswersAreBounded(t *testing.T) {
	c, _ := server(t, map[string]grpc.StreamHandler{"Echo": echo})
	for size, code := range map[int]grpcclient.Code{1000: grpcclient.OK, 1001: grpcclient.ResourceExhausted, 5 << 20: grpcclient.ResourceExhausted} {
		err := c.Call(within(t), "/test.Test/Echo", &text{strings.Repeat("x", size)}, new(text), 1000)
		if grpcclient.CodeOf(err) != code {
			t.Errorf("%d bytes: %v, want the code %d", size, err, code)
		}
	}
}

func TestDeadlinesReachTheServer(t *testing.T) {
	ended := make(chan error, 1)
	c, _ := server(t, map[string]grpc.StreamHandler{"Hang": answer(func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	}), "Left": answer(func(ctx context.Context, _ string) (string, error) {
		deadline, ok := ctx.Deadline()
		return fmt.Sprint(ok, time.Until(deadline).Round(time.Hour)), nil
	})})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := c.Call(ctx, "/test.Test/Hang", new(text), new(text), 100)
	wantError(t, err, grpcclient.DeadlineExceeded, "")
	<-ended
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	wantError(t, c.Call(ctx, "/test.Test/Hang", new(text), new(text), 100), grpcclient.Canceled, "given up")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the server's context ended with %v", err)
	}
	for _, hours := range []int{1, 24, 24 * 365, 24 * 365 * 3} { // each in another unit
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(hours)*time.Hour)
		var got text
		if err := c.Call(ctx, "/test.Test/Left", new(text), &got, 100); err != nil || got.s != fmt.Sprint(true, time.Duration(hours)*time.Hour) {
			t.Errorf("of %d hours, the server sees %s: %v", hours, got.s, err)
		}
		cancel()
	}
}

func TestTheServerStops(t *testing.T) {
	arrived := make(chan struct{})
	c, s := server(t, map[string]grpc.StreamHandler{"Hang": answer(func(ctx context.Context, _ string) (string, error) {
		close(arrived)
		<-ctx.Done()
		return "", nil
	})})
	failed := make(chan error, 1)
	var calls sync.WaitGroup
	defer calls.Wait()
	calls.Go(func() { _, err := call(t, c, "Hang", ""); failed <- err })
	<-arrived
	s.Stop()
	wantError(t, <-failed, grpcclient.Unavailable, "the connection")
	_, err := call(t, c, "Hang", "")
	wantError(t, err, grpcclient.Unavailable, "the connection")
}

// numbers is a stream that answers each message with as many as it says; "end"
// ends it well, "fail" does not.
func numbers(_ any, stream grpc.ServerStream) error {
	for {
		var request string
		if err := stream.RecvMsg(&request); err == io.EOF {
			last := "last"
			return stream.SendMsg(&last)
		} else if err != nil {
			return err
		}
		switch request {
		case "end":
			return nil
		case "fail":
			return status.Error(codes.Aborted, "as it was asked to")
		}
		for i := range len(request) {
			n := strings.Repeat("n", i)
			if err := stream.SendMsg(&n); err != nil {
				return err
			}
		}
	}
}

func open(t testing.TB, c *grpcclient.Conn, method string) *grpcclient.Stream {
	t.Helper()
	s, err := c.Stream(within(t), "/test.Test/"+method)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStreams(t *testing.T) {
	c, _ := server(t, map[string]grpc.StreamHandler{"Numbers": numbers})
	for end, want := range map[string]grpcclient.Code{"end": grpcclient.OK, "fail": grpcclient.Code(codes.Aborted)} {
		s := open(t, c, "Numbers")
		for _, size := range []int{3, 1, 2000} {
			if err := s.Send(&text{strings.Repeat("x", size)}); err != nil {
				t.Fatal(err)
			}
			for i := range size {
				var got text
				if err := s.Recv(&got, 1<<20); err != nil || len(got.s) != i {
					t.Fatalf("the message %d has %d bytes: %v", i, len(got.s), err)
				}
			}
		}
		if err := s.Send(&text{end}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Recv(new(text), 100); err != io.EOF && grpcclient.CodeOf(err) != want || err == nil {
				t.Errorf("after %s, the error is %v", end, err)
			}
		}
	}
	s := open(t, c, "Numbers")
	s.CloseSend()
	var got text
	if err := s.Recv(&got, 100); err != nil || got.s != "last" {
		t.Errorf("the last message is %q: %v", got.s, err)
	}
	if err := s.Recv(&got, 100); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
}

// TestStreamsPassOverWhatIsTooLarge: it is not kept, and what comes afterwards is
// there.
func TestStreamsPassOverWhatIsTooLarge(t *testing.T) {
	c, _ := server(t, map[string]grpc.StreamHandler{"Echoes": func(_ any, stream grpc.ServerStream) error {
		for {
			var m string
			if err := stream.RecvMsg(&m); err != nil {
				return err
			}
			if err := stream.SendMsg(&m); err != nil {
				return err
			}
		}
	}})
	s := open(t, c, "Echoes")
	for _, size := range []int{1001, 20 << 20} {
		large := strings.Repeat("abc", size/3+1)[:size]
		for _, m := range []string{large, "small"} {
			if err := s.Send(&text{m}); err != nil {
				t.Fatal(err)
			}
		}
		var tooLarge *grpcclient.TooLargeError
		if err := s.Recv(new(text), 1000); !errors.As(err, &tooLarge) || tooLarge.Size != size || !strings.HasPrefix(large, string(tooLarge.Head)) || len(tooLarge.Head) != min(size, 1<<10) {
			t.Errorf("%d bytes: %v", size, err)
		}
		var got text
		if err := s.Recv(&got, 1000); err != nil || got.s != "small" {
			t.Errorf("after %d bytes comes %q: %v", size, got.s, err)
		}
	}
}

func TestStreamsEndWithTheirContext(t *testing.T) {
	arrived, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	c, _ := server(t, map[string]grpc.StreamHandler{"Silent": func(_ any, stream grpc.ServerStream) error {
		arrived <- struct{}{}
		<-stream.Context().Done()
		ended <- struct{}{}
		return nil
	}})
	s := open(t, c, "Silent")
	<-arrived
	failed := make(chan error, 1)
	go func() { failed <- s.Recv(new(text), 100) }()
	s.Close()
	wantError(t, <-failed, grpcclient.Canceled, "")
	<-ended
	if err := s.Send(new(text)); grpcclient.CodeOf(err) != grpcclient.Unavailable {
		t.Errorf("Send to a stream that is closed: %v", err)
	}
	s.Close() // again

	s = open(t, c, "Silent")
	<-arrived
	// Nobody reads at the other end: Send waits until there is no stream.
	go func() { failed <- s.Send(&text{strings.Repeat("x", 10<<20)}) }()
	c.Close()
	wantError(t, <-failed, grpcclient.Unavailable, "the stream has ended")
	<-ended
}
