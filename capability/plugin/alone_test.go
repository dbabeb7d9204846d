//go:build unix

package plugin_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/waxosuit/waxo/capability/payload/providerpb"
	"github.com/waxosuit/waxo/capability/plugin"
)

// alone is a plugin with go-plugin and grpc-go as they are, and nothing of package
// serve: its output goes through gRPC, and it ends when go-plugin is told to.
type alone struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (alone) run() error {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: plugin.ProtocolVersion, MagicCookieKey: "WAXO_PROVIDER_PLUGIN", MagicCookieValue: "waxo:provider"},
		VersionedPlugins: map[int]goplugin.PluginSet{plugin.ProtocolVersion: {"provider": alone{}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.ForceServerCodecV2(raw{}))...)
		},
		Logger: hclog.NewNullLogger(),
	})
	return os.WriteFile(os.Getenv(endKey), []byte("it ended well"), 0o600)
}

// endKey names the file that this plugin writes when it has ended by itself.
const endKey = "WAXO_TEST_END"

type message interface {
	AppendProto([]byte) []byte
}

// raw is the codec: bytes, and messages of ours to send. Those of go-plugin are
// left to the usual one.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(message); ok {
		return mem.BufferSlice{mem.SliceBuffer(m.AppendProto(nil))}, nil
	}
	return encoding.GetCodecV2(proto.Name).Marshal(v)
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	if b, ok := v.(*[]byte); ok {
		*b = data.Materialize()
		return nil
	}
	return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
}

// GRPCServer implements goplugin.GRPCPlugin.
func (alone) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	methods := map[string]func([]byte) message{
		"Describe": func([]byte) message { return &providerpb.DescribeResponse{Capability: "test:alone"} },
		"Bind":     func([]byte) message { return &providerpb.BindResponse{} },
		"Unbind":   func([]byte) message { return &providerpb.UnbindResponse{} },
		"Close":    func([]byte) message { return &providerpb.CloseResponse{} },
		"Call": func(b []byte) message {
			var request providerpb.CallRequest
			if err := request.UnmarshalProto(b); err != nil {
				return &providerpb.CallResponse{Error: &providerpb.Failure{Code: "invalid", Message: err.Error()}}
			}
			fmt.Println("called with", string(request.Payload))
			fmt.Fprintln(os.Stderr, "an error, too")
			return &providerpb.CallResponse{Payload: request.Payload}
		},
	}
	desc := grpc.ServiceDesc{ServiceName: "provider.Provider", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Dispatch", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error { <-stream.Context().Done(); return nil },
	}}}
	for name, serve := range methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var b []byte
			if err := decode(&b); err != nil {
				return nil, err
			}
			return serve(b), nil
		}})
	}
	s.RegisterService(&desc, nil)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin.
func (alone) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// TestGoPluginAlone: a plugin that knows nothing of package serve logs and ends as
// well as another.
func TestGoPluginAlone(t *testing.T) {
	opts, l := development("go-plugin alone"), newLog()
	end := filepath.Join(t.TempDir(), "end")
	opts.Log, opts.Env = l.logger(), append(opts.Env, endKey+"="+end)
	p, err := plugin.Open(within(t), link(t, t.TempDir(), "alone"), opts)
	if err != nil {
		t.Fatal(err)
	}
	bind(t, p, nil, nil)
	if got := mustAsk(t, p, "Echo", "hello"); got != "hello" {
		t.Errorf("the echo is %q", got)
	}
	if line := l.wait(t, "called with hello"); !strings.Contains(line, "stream=stdout") {
		t.Error(line)
	}
	if line := l.wait(t, "an error, too"); !strings.Contains(line, "stream=stderr") {
		t.Error(line)
	}
	if err := p.Close(within(t)); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(end); err != nil || string(text) != "it ended well" {
		t.Errorf("it did not end by itself: %v\n%s", err, strings.Join(l.all(), ""))
	}
}
