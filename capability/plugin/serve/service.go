package serve

import (
	"context"

	"google.golang.org/grpc"

	"github.com/waxosuit/waxo/capability/internal/plugincontract"
)

// serviceDesc is the service as a server registers it.
func serviceDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: plugincontract.Service,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method(plugincontract.Describe, (*server).describe),
			method(plugincontract.Bind, (*server).bind),
			method(plugincontract.Call, (*server).call),
			method(plugincontract.Unbind, (*server).unbind),
			method(plugincontract.Close, (*server).closing),
		},
		Streams: []grpc.StreamDesc{{
			StreamName: plugincontract.Dispatch, ServerStreams: true, ClientStreams: true,
			Handler: func(srv any, stream grpc.ServerStream) error { return srv.(*server).dispatch(stream) },
		}},
	}
}

// method makes a method of a function that takes a message and returns one.
func method[T any, P interface {
	*T
	plugincontract.Message
}](name string, serve func(*server, context.Context, P) plugincontract.Message) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := P(new(T))
		if err := decode(in); err != nil {
			return nil, err
		}
		return serve(srv.(*server), ctx, in), nil
	}}
}
