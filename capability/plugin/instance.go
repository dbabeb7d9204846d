package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
)

const (
	// window is how much of a message may be under way before the other side
	// has read it, in bytes.
	window = 4 << 20

	// graceTime is how long a plugin may take to end after it was told to.
	graceTime = 2 * time.Second

	// deathTime is how long a failed call waits to learn whether the plugin
	// died.
	deathTime = time.Second
)

// instance is one run of a plugin: a process, and the connection to it.
type instance struct {
	name    string // the plugin's file, for people
	opts    *Options
	log     *slog.Logger
	client  *goplugin.Client
	process *process
	conn    *grpc.ClientConn
	desc    capability.Descriptor

	ctx    context.Context // of what runs for this instance
	cancel context.CancelFunc
	tasks  sync.WaitGroup // goroutines that run for this instance

	stream  grpc.ClientStream
	sending sync.Mutex // a stream takes one message at a time
	mu      sync.Mutex
	running map[uint64]context.CancelFunc  // dispatches by their number
	unbound map[capability.BindingID]error // what a restart has not bound again, and why
	lacks   atomic.Int64                   // the length of unbound
}

// startInstance executes an image and makes sure that it answers. It closes the
// image.
func startInstance(ctx context.Context, name string, im *image, opts *Options, guests dispatchers) (*instance, error) {
	defer im.close()
	ctx, cancel := context.WithTimeoutCause(ctx, opts.StartTimeout, fmt.Errorf("it was not ready within %s", opts.StartTimeout))
	defer cancel()
	log := opts.Log.With("plugin", name)
	in := &instance{name: name, opts: opts, log: log, running: make(map[uint64]context.CancelFunc), unbound: make(map[capability.BindingID]error)}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	lines := newLineLog(log)
	config, certificate, err := clientTLS()
	if err != nil {
		return nil, err
	}
	var sockets string
	in.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: {setName: nil}},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
			sockets = dir
			in.process = newProcess(ctx, name, im, append(append(slices.Clone(opts.Env), spec.Env...), "PLUGIN_CLIENT_CERT="+certificate), lines)
			return in.process, nil
		},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		TLSConfig:        config,
		SkipHostEnv:      true,
		StartTimeout:     opts.StartTimeout,
		SyncStdout:       lines.stream("stdout"),
		SyncStderr:       lines.stream("stderr"),
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithIdleTimeout(0), // the connection is for life
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(opts.MaxPayload+(64<<10))),
			grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		},
	})
	err = in.connect(ctx, guests)
	if sockets != "" {
		// The connection stands, and there will be no other: neither ours nor
		// anybody else's.
		os.RemoveAll(sockets)
	}
	if err != nil {
		err = in.startFailed(ctx, err)
		in.stop()
		return nil, err
	}
	in.process.up()
	in.tasks.Go(in.beat)
	return in, nil
}

// connect performs the handshake and the first questions.
func (in *instance) connect(ctx context.Context, guests dispatchers) error {
	if _, err := in.client.Start(); err != nil {
		return err
	}
	client, err := in.client.Client()
	if err != nil {
		return err
	}
	in.conn = client.(*goplugin.GRPCClient).Conn
	if err := in.healthy(ctx); err != nil {
		return err
	}
	answer := new(providerpb.DescribeResponse)
	if err := in.conn.Invoke(ctx, full(methodDescribe), &providerpb.DescribeRequest{}, answer); err != nil {
		return err
	}
	in.desc = capability.Descriptor{Capability: answer.Capability, Name: answer.Name, Version: answer.Version, Operations: answer.Operations}
	if in.desc.Capability == "" {
		return errors.New("it does not say which capability it offers")
	}
	stream := dispatchStream()
	in.stream, err = in.conn.NewStream(in.ctx, &stream, full(methodDispatch), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return err
	}
	in.tasks.Go(func() { in.listen(guests) })
	return nil
}

// startFailed says why an instance did not come up.
func (in *instance) startFailed(ctx context.Context, err error) error {
	p := in.process
	switch {
	case p == nil || p.cmd.Process == nil:
		return err
	case ctx.Err() != nil && in.conn == nil:
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s", context.Cause(ctx), plain(err))
	}
	p.end(nil)
	<-p.exited
	switch {
	case p.handshake != nil:
		return p.handshake
	case in.conn == nil:
		return fmt.Errorf("it ended before it was ready: %s", p.reason())
	}
	return fmt.Errorf("%s; it ended so: %s", plain(err), p.reason())
}

// plain is an error without what gRPC puts around it.
func plain(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// healthy asks the plugin whether it serves.
func (in *instance) healthy(ctx context.Context) error {
	answer, err := grpc_health_v1.NewHealthClient(in.conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("its health is %s", answer.Status)
	}
	return nil
}

// beat asks from time to time, and ends a plugin that does not answer.
func (in *instance) beat() {
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.process.exited:
			return
		case <-time.After(in.opts.HealthTimeout / 3):
		}
		ctx, cancel := context.WithTimeout(in.ctx, in.opts.HealthTimeout)
		err := in.healthy(ctx)
		cancel()
		if err != nil && in.ctx.Err() == nil {
			in.process.end(fmt.Errorf("it did not answer whether it is healthy within %s: %s", in.opts.HealthTimeout, plain(err)))
		}
	}
}

// invoke calls a method. The error is an *capability.Error.
func (in *instance) invoke(ctx context.Context, method, what string, request, answer message) error {
	err := in.conn.Invoke(ctx, full(method), request, answer)
	if err == nil {
		return nil
	}
	fail := func(code capability.Code, format string, args ...any) error {
		return &capability.Error{Code: code, Message: fmt.Sprintf("the plugin %s ", in.name) + fmt.Sprintf(format, args...)}
	}
	code := status.Code(err)
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded) || ctx.Err() == nil && code == codes.DeadlineExceeded:
		return fail(capability.CodeDeadline, "did not answer within the deadline of %s", what)
	case ctx.Err() != nil:
		return capability.AsError(context.Cause(ctx))
	case code == codes.ResourceExhausted:
		return fail(capability.CodeTooLarge, "answers %s with more than the %d bytes allowed", what, in.opts.MaxPayload)
	case code == codes.Unimplemented:
		return fail(capability.CodeUnsupported, "does not know the method %s of the provider protocol", method)
	case code != codes.Unavailable && code != codes.Canceled: // it was not the connection
		return fail(capability.CodeInternal, "fails at %s: %s", what, plain(err))
	case in.died(ctx):
		return fail(capability.CodeUnavailable, "died during %s (%s): whether it took effect is open", what, in.process.reason())
	}
	return fail(capability.CodeUnavailable, "cannot be reached for %s: %s", what, plain(err))
}

// died waits a moment to see whether the plugin has.
func (in *instance) died(ctx context.Context) bool {
	timer := time.NewTimer(deathTime)
	defer timer.Stop()
	select {
	case <-in.process.exited:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// shutdown ends the instance as gently as ctx allows.
func (in *instance) shutdown(ctx context.Context) error {
	answer := new(providerpb.CloseResponse)
	err := in.invoke(ctx, methodClose, "closing", &providerpb.CloseRequest{}, answer)
	if err == nil {
		err = fromFailure(answer.Error)
	}
	in.process.input.Close()
	timer := time.NewTimer(graceTime)
	defer timer.Stop()
	select {
	case <-in.process.exited:
	case <-ctx.Done():
	case <-timer.C:
		in.log.Warn("the plugin did not end when it was told to: it is killed")
	}
	in.stop()
	return err
}

// stop ends what is left of the instance and waits for it.
func (in *instance) stop() {
	in.cancel()
	if p := in.process; p != nil && p.cmd.Process != nil {
		p.end(nil)
		<-p.exited
		p.input.Close()
		in.client.Kill() // of its own goroutines: the process has ended
	}
	in.tasks.Wait()
}

// dispatchers finds what carries operations to the guest of a binding, nil where
// it is not bound.
type dispatchers func(capability.BindingID) capability.Dispatcher

// listen takes what the plugin has for guests.
func (in *instance) listen(guests dispatchers) {
	room := make(chan struct{}, maxDispatches)
	for {
		request := new(providerpb.DispatchRequest)
		if err := in.stream.RecvMsg(request); err != nil {
			if in.ctx.Err() == nil && !in.died(in.ctx) {
				in.process.end(fmt.Errorf("its connection ended: %s", strings.TrimSpace(plain(err))))
			}
			in.cancel()
			return
		}
		if request.Cancel {
			in.forget(request.Number)
			continue
		}
		select {
		case room <- struct{}{}:
			in.tasks.Go(func() { defer func() { <-room }(); in.handle(guests, request) })
		default:
			in.answer(&providerpb.DispatchAnswer{Number: request.Number, Error: toFailure(&capability.Error{
				Code: capability.CodeOverloaded, Message: fmt.Sprintf("the plugin waits for %d guests already", maxDispatches),
			})})
		}
	}
}

// maxDispatches is how many operations of a plugin may be in hand at once. The
// host bounds those of each guest on its own.
const maxDispatches = 4096

// handle has a guest handle one operation.
func (in *instance) handle(guests dispatchers, request *providerpb.DispatchRequest) {
	ctx, cancel := context.WithCancel(in.ctx)
	if request.TimeoutMs > 0 {
		ctx, cancel = context.WithTimeout(in.ctx, time.Duration(min(request.TimeoutMs, maxTimeout.Milliseconds()))*time.Millisecond)
	}
	defer cancel()
	in.mu.Lock()
	in.running[request.Number] = cancel
	in.mu.Unlock()
	defer in.forget(request.Number)
	answer := &providerpb.DispatchAnswer{Number: request.Number}
	id := fromID(request.ID)
	d := guests(id)
	switch {
	case len(request.Payload) > in.opts.MaxPayload:
		answer.Error = toFailure(tooLarge("the payload for the guest", len(request.Payload), in.opts.MaxPayload))
	case d == nil:
		answer.Error = toFailure(&capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("the binding %q of the guest %s is not bound to this plugin", id.Name, id.Guest)})
	default:
		reply, err := d.Dispatch(ctx, request.Operation, request.Payload, nil)
		answer.Build, answer.Error = reply.Build, toFailure(err)
		if err == nil {
			answer.Payload = reply.Payload
		}
	}
	in.answer(answer)
}

// maxTimeout keeps a time within what a Duration holds.
const maxTimeout = 24 * time.Hour

// forget cancels a dispatch, or lets it go.
func (in *instance) forget(number uint64) {
	in.mu.Lock()
	cancel := in.running[number]
	delete(in.running, number)
	in.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (in *instance) answer(answer *providerpb.DispatchAnswer) {
	in.sending.Lock()
	defer in.sending.Unlock()
	_ = in.stream.SendMsg(answer) // a broken stream ends in listen
}
