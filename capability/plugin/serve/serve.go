// Package serve is what provider plugins are written with in Go: Provider is the
// main function of one. Package plugin is the other side, which starts and talks
// to plugins; docs/providers.md in this module is the contract between the two.
//
// The handshake, TLS and gRPC are go-plugin's, so that a plugin links all of these;
// a host does not. What is left out: anything about the host.
package serve

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/plugincontract"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
)

// setName is go-plugin's name for the one thing that is served.
const setName = "provider"

// closeTimeout bounds how long a provider may take to close before its process
// ends without it.
const closeTimeout = 5 * time.Second

// Provider makes the process a plugin that offers a provider. It returns when the
// host has told the plugin to end or has gone away, after it closed the
// provider; the error is that of the closing. The process should end then.
//
// It is meant for a main function that does nothing else. A process that no host
// started ends at once, with status 1 and a message. Standard input belongs to
// Provider; what is written to standard output and standard error goes to the log of
// the host, line by line. An interrupt from a terminal is left to the host.
func Provider(p capability.Provider) error {
	s := &server{provider: p, waiting: make(map[uint64]chan *providerpb.DispatchAnswer)}
	stdout, stderr := os.Stdout, os.Stderr
	s.ready = sync.OnceFunc(func() { os.Stdout, os.Stderr = stdout, stderr })
	go s.endWithHost() // ends with the process
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: plugincontract.Version, MagicCookieKey: plugincontract.CookieKey, MagicCookieValue: plugincontract.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{plugincontract.Version: {setName: &served{server: s}}},
		GRPCServer:       s.grpc,
		Logger:           hclog.NewNullLogger(),
	})
	return s.close()
}

// served registers a server's service.
type served struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server
}

// GRPCServer implements goplugin.GRPCPlugin.
func (p *served) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	g.RegisterService(serviceDesc(), p.server)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin; the host does without it.
func (p *served) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("serve: %q is for servers", setName)
}

// server answers a host's calls.
type server struct {
	provider capability.Provider
	server   atomic.Pointer[grpc.Server]
	ended    atomic.Bool // the host is gone, or has told to end

	// ready takes standard output and standard error back from go-plugin, which
	// sends them through gRPC from its handshake on. There, the last words of a
	// process that dies are lost; in the host's pipes they are not.
	ready func()

	once   sync.Once
	closed error // of the provider

	mu      sync.Mutex
	stream  grpc.ServerStream // nil where the host is not listening
	number  uint64            // the last dispatch
	waiting map[uint64]chan *providerpb.DispatchAnswer
	sending sync.Mutex // a stream takes one message at a time
}

// grpc makes the server. The one peer is the host that started the process, and
// it bounds what it sends.
func (s *server) grpc(opts []grpc.ServerOption) *grpc.Server {
	g := grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.ForceServerCodecV2(codec{}),
		grpc.InitialWindowSize(plugincontract.Window), grpc.InitialConnWindowSize(plugincontract.Window),
	)...)
	s.server.Store(g)
	if s.ended.Load() { // before there was a server to stop
		g.Stop()
	}
	return g
}

// endWithHost waits for the host's end of standard input to close, which it does
// however the host ends, and ends the server.
func (s *server) endWithHost() {
	io.Copy(io.Discard, os.Stdin)
	s.ended.Store(true)
	s.close()
	if g := s.server.Load(); g != nil {
		g.Stop()
	}
}

// close closes the provider once, within its time.
func (s *server) close() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.provider.Close(ctx) }()
		select {
		case s.closed = <-done:
		case <-ctx.Done():
			s.closed = fmt.Errorf("serve: the provider did not close within %s", closeTimeout)
		}
	})
	return s.closed
}

func (s *server) describe(context.Context, *providerpb.DescribeRequest) plugincontract.Message {
	s.ready() // the host asks this first, and go-plugin has done its part then
	d := s.provider.Describe()
	return &providerpb.DescribeResponse{Capability: d.Capability, Name: d.Name, Version: d.Version, Operations: d.Operations}
}

func (s *server) bind(ctx context.Context, in *providerpb.BindRequest) plugincontract.Message {
	b := capability.Binding{BindingID: plugincontract.FromID(in.ID), GuestName: in.GuestName, Config: in.Config, Development: in.Development}
	return &providerpb.BindResponse{Error: plugincontract.ToFailure(s.provider.Bind(ctx, b, &dispatcher{server: s, id: b.BindingID}))}
}

func (s *server) call(ctx context.Context, in *providerpb.CallRequest) plugincontract.Message {
	payload, err := s.provider.Call(ctx, capability.Call{BindingID: plugincontract.FromID(in.ID), Operation: in.Operation, Payload: in.Payload})
	if err != nil {
		payload = nil
	}
	return &providerpb.CallResponse{Payload: payload, Error: plugincontract.ToFailure(err)}
}

func (s *server) unbind(ctx context.Context, in *providerpb.UnbindRequest) plugincontract.Message {
	return &providerpb.UnbindResponse{Error: plugincontract.ToFailure(s.provider.Unbind(ctx, plugincontract.FromID(in.ID)))}
}

func (s *server) closing(context.Context, *providerpb.CloseRequest) plugincontract.Message {
	return &providerpb.CloseResponse{Error: plugincontract.ToFailure(s.close())}
}
