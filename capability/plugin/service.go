package plugin

import (
	"context"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
)

// The contract's names and numbers; docs/providers.md has them too.
const (
	// ProtocolVersion is the version of the messages and of what they mean.
	ProtocolVersion = 1

	cookieKey   = "WAXO_PROVIDER_PLUGIN"
	cookieValue = "waxo:provider"
	setName     = "provider" // go-plugin's name for the one thing that is served

	serviceName    = "provider.Provider"
	methodDescribe = "Describe"
	methodBind     = "Bind"
	methodCall     = "Call"
	methodUnbind   = "Unbind"
	methodClose    = "Close"
	methodDispatch = "Dispatch"
)

func handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{ProtocolVersion: ProtocolVersion, MagicCookieKey: cookieKey, MagicCookieValue: cookieValue}
}

// full is a method's name as gRPC has it.
func full(method string) string { return "/" + serviceName + "/" + method }

// dispatchStream describes the one method that is a stream.
func dispatchStream() grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName: methodDispatch, ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, stream grpc.ServerStream) error { return srv.(*server).dispatch(stream) },
	}
}

// serviceDesc is the service as a server registers it.
func serviceDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method(methodDescribe, (*server).describe),
			method(methodBind, (*server).bind),
			method(methodCall, (*server).call),
			method(methodUnbind, (*server).unbind),
			method(methodClose, (*server).closing),
		},
		Streams: []grpc.StreamDesc{dispatchStream()},
	}
}

// method makes a method of a function that takes a message and returns one.
func method[T any, P interface {
	*T
	message
}](name string, serve func(*server, context.Context, P) message) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := P(new(T))
		if err := decode(in); err != nil {
			return nil, err
		}
		return serve(srv.(*server), ctx, in), nil
	}}
}

func toID(id capability.BindingID) *providerpb.BindingID {
	return &providerpb.BindingID{Guest: id.Guest, Name: id.Name}
}

func fromID(id *providerpb.BindingID) capability.BindingID {
	if id == nil {
		return capability.BindingID{}
	}
	return capability.BindingID{Guest: id.Guest, Name: id.Name}
}

// toFailure is an error's form on the wire, nil for nil. A string there is
// UTF-8, whatever the provider wrote.
func toFailure(err error) *providerpb.Failure {
	if err == nil {
		return nil
	}
	e := capability.AsError(err)
	text := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
	return &providerpb.Failure{Code: text(string(e.Code)), Message: text(e.Message), Detail: text(e.Detail)}
}

// fromFailure is the error of a wire form; nil for nil. A code that is not known
// becomes CodeInternal, its name a part of the message.
func fromFailure(f *providerpb.Failure) error {
	if f == nil {
		return nil
	}
	e := capability.ParseError(f.Code + ": " + f.Message)
	e.Detail = f.Detail
	return e
}
