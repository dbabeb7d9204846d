package providersuite

import (
	"context"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func httpFaults() []fault {
	client, server := capability.HTTPClient, capability.HTTPServer
	return []fault{
		{"a status of 404 is an error", client, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			var r httppb.Response
			if err == nil && r.UnmarshalProto(answer) == nil && r.StatusCode == 404 {
				return nil, &capability.Error{Code: capability.CodeNotFound, Message: "404"}
			}
			return answer, err
		}), []string{"HTTPC-4"}, nil},
		{"a request is sent again", client, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if err != nil && capability.AsError(err).Code == capability.CodeUnavailable {
				return p.Call(ctx, c)
			}
			return answer, err
		}), []string{"HTTPC-12", "CAP-45"}, nil},
		{"query_string is dropped", client, asks(capability.OpPerformRequest, func(r *httppb.Request) { r.QueryString = "" }), []string{"HTTPC-2"}, []string{"HTTPC-3"}},
		{"a query takes the place of another", client, asks(capability.OpPerformRequest, func(r *httppb.Request) {
			if r.QueryString != "" {
				r.Path, _, _ = strings.Cut(r.Path, "?")
			}
		}), []string{"HTTPC-2"}, nil},
		{"headers are dropped", client, asks(capability.OpPerformRequest, func(r *httppb.Request) { delete(r.Header, "X-Request-Id") }), []string{"HTTPC-1"}, nil},
		{"cookies are joined by commas", client, answers(capability.OpPerformRequest, func(r *httppb.Response) {
			if c := r.Header["Set-Cookie"]; c != "" {
				r.Header["Set-Cookie"] = strings.ReplaceAll(c, "\n", ", ")
			}
		}), []string{"HTTPC-5"}, nil},
		{"a guest may go everywhere", client, func() spoil {
			return spoil{bind: func(b *capability.Binding) {
				delete(b.Config, "allow")
				b.Development = true
			}}
		}, []string{"HTTPC-7", "HTTPC-8"}, nil},
		{"line breaks in headers are spaces", client, asks(capability.OpPerformRequest, func(r *httppb.Request) {
			for k, v := range r.Header {
				r.Header[k] = strings.NewReplacer("\r\n", " ", "\n", " ").Replace(v)
			}
		}), []string{"HTTPC-6"}, nil},
		{"a large response is cut off", client, fails(capability.CodeTooLarge, func(capability.Call, error) ([]byte, error) {
			return (&httppb.Response{StatusCode: 200}).AppendProto(nil), nil
		}), []string{"HTTPC-9"}, nil},
		{"redirects are answers", client, binds(func(config map[string]string) { config["redirects"] = "0" }), []string{"HTTPC-300"}, []string{"HTTPC-7", "HTTPC-11"}},
		{"gzip is handed on", client, asks(capability.OpPerformRequest, func(r *httppb.Request) {
			if r.Header["Accept-Encoding"] == "" && r.Method != "REPORT" {
				if r.Header == nil {
					r.Header = make(map[string]string)
				}
				r.Header["Accept-Encoding"] = "gzip"
			}
		}), []string{"HTTPC-301"}, nil},
		{"a status of 0 is none", server, handles(func(r *httppb.Response) {
			if r.StatusCode == 0 {
				r.StatusCode = 204
			}
		}), []string{"HTTP-21"}, []string{"CAP-48", "CAP-38", "HTTP-23"}},
		{"names of headers are in lower case", server, delivers(capability.OpHandleRequest, func(r *httppb.Request) { r.Header = lower(r.Header) }), []string{"HTTP-5"}, []string{"HTTP-6", "HTTP-7", "HTTP-8", "HTTP-10"}},
		{"paths are decoded", server, delivers(capability.OpHandleRequest, func(r *httppb.Request) { r.Path = strings.ReplaceAll(r.Path, "%20", " ") }), []string{"HTTP-3"}, nil},
		{"queries have their question mark", server, delivers(capability.OpHandleRequest, func(r *httppb.Request) {
			if r.QueryString != "" {
				r.QueryString = "?" + r.QueryString
			}
		}), []string{"HTTP-4"}, nil},
		{"methods are in capitals", server, delivers(capability.OpHandleRequest, func(r *httppb.Request) { r.Method = strings.ToUpper(r.Method) }), []string{"HTTP-2"}, nil},
		{"bodies are texts", server, delivers(capability.OpHandleRequest, func(r *httppb.Request) { r.Body = []byte(strings.ToValidUTF8(string(r.Body), "?")) }), []string{"HTTP-9"}, nil},
		{"a request is handled twice", server, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				if reply, err := d.pass(d.payload); err != nil {
					return reply, err
				}
				return d.pass(d.payload)
			}}
		}, []string{"HTTP-1"}, []string{"HTTP-44", "CAP-36", "CAP-38", "CAP-48", "HTTP-2", "HTTP-3", "HTTP-4", "HTTP-5", "HTTP-6", "HTTP-7", "HTTP-8", "HTTP-9", "HTTP-10"}},
		{"the first cookie is the only one", server, handles(func(r *httppb.Response) {
			if c, more := r.Header["Set-Cookie"]; more {
				r.Header["Set-Cookie"], _, _ = strings.Cut(c, "\n")
			}
		}), []string{"HTTP-26"}, nil},
		{"line breaks in headers are spaces", server, handles(func(r *httppb.Response) {
			for k, v := range r.Header {
				if k != "Set-Cookie" {
					r.Header[k] = strings.NewReplacer("\r\n", " ", "\n", " ").Replace(v)
				}
			}
		}), []string{"HTTP-24"}, nil},
		{"any status is sent", server, handles(func(r *httppb.Response) {
			if r.StatusCode > 999 || r.StatusCode > 0 && r.StatusCode < 200 {
				r.StatusCode = 200
			}
		}), []string{"HTTP-22"}, nil},
		{"what is no response is an empty one", server, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				reply, err := d.pass(d.payload)
				if err == nil && new(httppb.Response).UnmarshalProto(reply.Payload) != nil {
					reply.Payload = nil
				}
				return reply, err
			}}
		}, []string{"HTTP-23"}, nil},
		{"errors are shown", server, func() spoil { return spoil{bind: func(b *capability.Binding) { b.Development = true }} }, []string{"HTTP-300"}, nil},
		{"every failure is one of the guest", server, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				reply, err := d.pass(d.payload)
				if err != nil {
					err = &capability.Error{Code: capability.CodeGuest, Message: "failed"}
				}
				return reply, err
			}}
		}, []string{"HTTP-41", "HTTP-42", "HTTP-43"}, nil},
		{"a guest's failure is unavailability", server, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				reply, err := d.pass(d.payload)
				if err != nil && capability.AsError(err).Code == capability.CodeGuest {
					err = &capability.Error{Code: capability.CodeUnavailable, Message: "failed"}
				}
				return reply, err
			}}
		}, []string{"HTTP-40"}, nil},
		{"a client that goes away is not noticed", server, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				d.ctx = context.WithoutCancel(d.ctx)
				return d.pass(d.payload)
			}}
		}, []string{"HTTP-44"}, nil},
	}
}

func lower(header map[string]string) map[string]string {
	out := make(map[string]string)
	for k, v := range header {
		out[strings.ToLower(k)] = v
	}
	return out
}
