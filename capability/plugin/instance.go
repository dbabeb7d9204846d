package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/grpcclient"
	"github.com/waxosuit/waxo/capability/internal/plugincontract"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

const (
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
	lines   *lineLog
	process *process
	conn    *grpcclient.Conn
	desc    capability.Descriptor

	ctx    context.Context // of what runs for this instance
	cancel context.CancelFunc
	tasks  sync.WaitGroup // goroutines that run for this instance

	stream  *grpcclient.Stream
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
	in.lines = newLineLog(log)
	config, certificate, err := clientTLS()
	if err != nil {
		return nil, err
	}
	sockets, err := os.MkdirTemp("", "plugin-dir")
	if err != nil {
		return nil, err
	}
	// When the connection stands there will be no other, neither ours nor anybody
	// else's.
	defer os.RemoveAll(sockets)
	in.process = newProcess(ctx, name, im, append(slices.Clone(opts.Env), environment(sockets, certificate)...), in.lines)
	if err := in.process.run(); err != nil {
		in.stop()
		return nil, err
	}
	if err := in.connect(ctx, config, guests); err != nil {
		err = in.startFailed(ctx, err)
		in.stop()
		return nil, err
	}
	in.process.up()
	in.tasks.Go(in.beat)
	return in, nil
}

// connect performs the handshake and the first questions.
func (in *instance) connect(ctx context.Context, config *tls.Config, guests dispatchers) error {
	select {
	case <-in.process.greeted:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g := in.process.greeting
	if g == nil {
		return errNoGreeting
	}
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AddCert(g.certificate)
	var err error
	if in.conn, err = grpcclient.Dial(ctx, g.network, g.address, config); err != nil {
		return fmt.Errorf("there is no connection to it: %w", err)
	}
	in.tasks.Go(in.readOutput)
	if err := in.healthy(ctx); err != nil {
		return err
	}
	answer := new(providerpb.DescribeResponse)
	if err := in.conn.Call(ctx, plugincontract.Full(plugincontract.Describe), &providerpb.DescribeRequest{}, answer, maxAnswer); err != nil {
		return err
	}
	in.desc = capability.Descriptor{Capability: answer.Capability, Name: answer.Name, Version: answer.Version, Operations: answer.Operations}
	if in.desc.Capability == "" {
		return errors.New("it does not say which capability it offers")
	}
	if in.stream, err = in.conn.Stream(in.ctx, plugincontract.Full(plugincontract.Dispatch)); err != nil {
		return err
	}
	in.tasks.Go(func() { in.listen(guests) })
	return nil
}

// errNoGreeting stands for what the process knows better.
var errNoGreeting = errors.New("it does not say where it listens")

// startFailed says why an instance did not come up.
func (in *instance) startFailed(ctx context.Context, err error) error {
	p := in.process
	if ctx.Err() != nil {
		if in.conn == nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	p.end(nil)
	<-p.exited
	switch {
	case p.handshake != nil:
		return p.handshake
	case p.greeting == nil:
		return fmt.Errorf("it ended before it was ready: %s", p.reason())
	}
	return fmt.Errorf("%w; it ended so: %s", err, p.reason())
}

// healthy asks the plugin whether it serves.
func (in *instance) healthy(ctx context.Context) error {
	answer := new(healthResponse)
	if err := in.conn.Call(ctx, methodHealth, &healthRequest{service: healthService}, answer, maxAnswer); err != nil {
		return err
	}
	if answer.status != serving {
		return fmt.Errorf("its health is %s", answer.status)
	}
	return nil
}

// readOutput logs what go-plugin takes from the standard streams of a plugin,
// where it does so.
func (in *instance) readOutput() {
	stream, err := in.conn.Stream(in.ctx, methodStdio)
	if err != nil {
		return // there is no such service, or no connection, which others notice
	}
	defer stream.Close()
	if err := stream.Send(empty{}); err != nil {
		return
	}
	stream.CloseSend()
	logs := map[uint64]io.Writer{channelStdout: in.lines.stream("stdout"), channelStderr: in.lines.stream("stderr")}
	for {
		var o output
		if err := stream.Recv(&o, maxAnswer); err != nil {
			return
		}
		if log := logs[o.channel]; log != nil {
			_, _ = log.Write(o.data) // never fails
		}
	}
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
			in.process.end(fmt.Errorf("it did not answer whether it is healthy within %s: %w", in.opts.HealthTimeout, err))
		}
	}
}

// invoke calls a method. The error is an *capability.Error.
func (in *instance) invoke(ctx context.Context, method, what string, request, answer grpcclient.Message) error {
	err := in.conn.Call(ctx, plugincontract.Full(method), request, answer, in.opts.MaxPayload+overhead)
	if err == nil {
		return nil
	}
	fail := func(code capability.Code, format string, args ...any) error {
		return &capability.Error{Code: code, Message: fmt.Sprintf("the plugin %s ", in.name) + fmt.Sprintf(format, args...)}
	}
	code := grpcclient.CodeOf(err)
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded) || ctx.Err() == nil && code == grpcclient.DeadlineExceeded:
		return fail(capability.CodeDeadline, "did not answer within the deadline of %s", what)
	case ctx.Err() != nil:
		return capability.AsError(context.Cause(ctx))
	case code == grpcclient.ResourceExhausted:
		return fail(capability.CodeTooLarge, "answers %s with more than the %d bytes allowed", what, in.opts.MaxPayload)
	case code == grpcclient.Unimplemented:
		return fail(capability.CodeUnsupported, "does not know the method %s of the provider protocol", method)
	case code != grpcclient.Unavailable && code != grpcclient.Canceled: // it was not the connection
		return fail(capability.CodeInternal, "fails at %s: %s", what, err)
	case in.died(ctx):
		return fail(capability.CodeUnavailable, "died during %s (%s): whether it took effect is open", what, in.process.reason())
	}
	return fail(capability.CodeUnavailable, "cannot be reached for %s: %s", what, err)
}

// overhead is what a message may have beside its payload, in bytes.
const overhead = 64 << 10

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
	err := in.invoke(ctx, plugincontract.Close, "closing", &providerpb.CloseRequest{}, answer)
	if err == nil {
		err = plugincontract.FromFailure(answer.Error)
	}
	in.process.input.Close()
	// A plugin that does without our package may not look at its input. Where one
	// looks at both, the answer may be lost.
	in.tasks.Go(func() { _ = in.conn.Call(in.ctx, methodShutdown, empty{}, empty{}, maxAnswer) })
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
	}
	if in.conn != nil {
		in.conn.Close()
	}
	if in.stream != nil {
		in.stream.Close()
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
		err := in.stream.Recv(request, in.opts.MaxPayload+overhead)
		if tooLarge := (*grpcclient.TooLargeError)(nil); errors.As(err, &tooLarge) {
			in.refuse(tooLarge)
			continue
		}
		if err != nil {
			if in.ctx.Err() == nil && !in.died(in.ctx) {
				in.process.end(fmt.Errorf("its stream to the guests ended: %w", err))
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
			in.answer(&providerpb.DispatchAnswer{Number: request.Number, Error: plugincontract.ToFailure(&capability.Error{
				Code: capability.CodeOverloaded, Message: fmt.Sprintf("the plugin waits for %d guests already", maxDispatches),
			})})
		}
	}
}

// refuse answers a dispatch that was passed over. Its number is the first that a
// message has, as all encoders have it; where it is not, nobody can be answered.
func (in *instance) refuse(e *grpcclient.TooLargeError) {
	number, t, rest, err := wire.ReadTag(e.Head)
	if err != nil || number != 1 || t != wire.Varint {
		return
	}
	if number, _, err := wire.ReadVarint(rest); err == nil {
		in.answer(&providerpb.DispatchAnswer{Number: number, Error: plugincontract.ToFailure(tooLarge("the message for the guest", e.Size, in.opts.MaxPayload))})
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
	id := plugincontract.FromID(request.ID)
	d := guests(id)
	switch {
	case len(request.Payload) > in.opts.MaxPayload:
		answer.Error = plugincontract.ToFailure(tooLarge("the payload for the guest", len(request.Payload), in.opts.MaxPayload))
	case d == nil:
		answer.Error = plugincontract.ToFailure(&capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("the binding %q of the guest %s is not bound to this plugin", id.Name, id.Guest)})
	default:
		reply, err := d.Dispatch(ctx, request.Operation, request.Payload, nil)
		answer.Build, answer.Error = reply.Build, plugincontract.ToFailure(err)
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
	_ = in.stream.Send(answer) // a broken stream ends in listen
}
