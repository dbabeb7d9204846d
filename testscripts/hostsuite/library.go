package hostsuite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// library is a host that is a library. What reaches other hosts by HTTP is called
// straight: the operation HandleRequest with the request as its payload.
type library struct{ engine Engine }

func (l library) name() string { return l.engine.Name() }

func (l library) lacks(need string) string {
	switch need {
	case needHTTP:
		return "the host is a library: it has no HTTP server"
	case needProgram, needPort:
		return "the host is a library: nothing starts it as a program"
	case needLiveUpdate, needNoUpdates, needProbes:
		return "the host is a library: it answers nothing by HTTP itself"
	case needWascc:
		return "the host is a library: the suite spells the operations"
	case capability.Messaging:
		return "the host is a library: nothing brings messages to it"
	}
	return ""
}

func (l library) start(ctx context.Context, module string, s *settings) (running, error) {
	file, err := os.ReadFile(module)
	if err != nil {
		return nil, err
	}
	out := newOutput()
	guest, err := l.engine.Load(ctx, file, &LoadOptions{
		HostCall: s.hostCall, Log: func(line string) { fmt.Fprintln(out, line) },
		CallTimeout: s.callTimeout, Memory: s.memory, Body: s.body,
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the host neither loads the module nor refuses it: %w", context.Cause(ctx))
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return nil, &refusal{text: out.String()}
	}
	return &loaded{guest: guest, out: out}, nil
}

// loaded is a guest of a library.
type loaded struct {
	guest Guest
	out   *output
}

func (l *loaded) output() *output { return l.out }

func (l *loaded) do(ctx context.Context, r *request) (*response, error) {
	path, query, _ := strings.Cut(r.path, "?")
	message := httppb.Request{Method: r.method, Path: path, QueryString: query, Header: map[string]string{}, Body: r.body}
	for name, values := range r.header {
		message.Header[name] = strings.Join(values, ", ")
	}
	operation := capability.Waxosuit.Spell(capability.HTTPServer, capability.OpHandleRequest)
	payload, err := l.guest.Call(ctx, operation, message.AppendProto(nil))
	var answer httppb.Response
	if err == nil {
		err = answer.UnmarshalProto(payload)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the call does not end: %w", context.Cause(ctx))
	}
	if err != nil {
		// A host with an HTTP server would log it.
		fmt.Fprintln(l.out, err)
		return &response{status: http.StatusInternalServerError, header: http.Header{}, cause: err.Error()}, nil
	}
	res := &response{status: int(answer.StatusCode), header: http.Header{}, body: answer.Body}
	if res.status == 0 {
		res.status = http.StatusOK
	}
	for name, value := range answer.Header {
		res.header.Set(name, value)
	}
	return res, nil
}

func (l *loaded) terminate() error { return errors.New("a library is not told to end") }

func (l *loaded) stop(ctx context.Context) error {
	defer l.out.end()
	return l.guest.Close(ctx)
}

func (l *loaded) kill() {
	if err := l.stop(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(l.out, err)
	}
}
