package logging_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/logging"
	"github.com/waxosuit/waxo/capability/payload/loggingpb"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

// book is a handler that keeps the lines.
type book struct {
	lines *[]string
	with  []slog.Attr
	least slog.Level
}

func (b book) Enabled(_ context.Context, l slog.Level) bool { return l >= b.least }
func (b book) WithGroup(string) slog.Handler                { return b }
func (b book) WithAttrs(attrs []slog.Attr) slog.Handler {
	b.with = append(b.with[:len(b.with):len(b.with)], attrs...)
	return b
}

func (b book) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Sprintf("%s %s", r.Level, r.Message)
	attrs := b.with
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs[:len(attrs):len(attrs)], a); return true })
	*b.lines = append(*b.lines, fmt.Sprint(line, " ", attrs))
	return nil
}

// write binds a provider, writes lines and returns what is in the book.
func write(t *testing.T, least slog.Level, binding capability.Binding, reqs ...loggingpb.WriteLogRequest) []string {
	t.Helper()
	var lines []string
	p := logging.New(&logging.Options{Logger: slog.New(book{lines: &lines, least: least}), MaxBody: 20})
	if err := p.Bind(t.Context(), binding, nil); err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, req := range reqs {
		answer, err := p.Call(t.Context(), capability.Call{BindingID: binding.BindingID, Operation: capability.OpWriteLog, Payload: req.AppendProto(nil)})
		if len(answer) != 0 || err != nil {
			t.Errorf("%+v: %q, %v", req, answer, err)
		}
	}
	return lines
}

func TestLevels(t *testing.T) {
	var reqs []loggingpb.WriteLogRequest
	for level := range uint32(6) {
		reqs = append(reqs, loggingpb.WriteLogRequest{Level: level, Body: fmt.Sprint(level)})
	}
	binding := capability.Binding{BindingID: id, GuestName: "hello"}
	got := strings.Join(write(t, logging.LevelTrace, binding, reqs...), "\n")
	want := "ERROR 1 [guest=hello]\nWARN 2 [guest=hello]\nINFO 3 [guest=hello]\nDEBUG 4 [guest=hello]\nDEBUG-4 5 [guest=hello]"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := write(t, slog.LevelWarn, binding, reqs...); len(got) != 2 {
		t.Errorf("a handler for warnings got %q", got)
	}
}

func TestLines(t *testing.T) {
	named := capability.BindingID{Guest: "MGUEST", Name: "audit"}
	for _, c := range []struct {
		binding capability.Binding
		req     loggingpb.WriteLogRequest
		want    string
	}{
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "no name"}, "no name [guest=MGUEST]"},
		{capability.Binding{BindingID: named, GuestName: "a\nb"}, loggingpb.WriteLogRequest{Actor: "x\x1b[2J", Body: "b"}, `b [guest=a\nb binding=audit actor=x\x1b[2J]`},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "one\ntwo\r\n\x1b[31m\x00\x7f\u0085"}, `one\ntwo\r\n\x1b[31m\x00\x7f\u0085`},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "a\tb é 世\u202e\u2028"}, "a\tb é 世\\u202e\\u2028 ["},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "line\r\n"}, "line ["},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{}, " ["},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "12345678901234567890"}, "12345678901234567890 ["},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Body: "1234567890123456789é世"}, "1234567890123456789... (5 more bytes) ["},
		{capability.Binding{BindingID: id}, loggingpb.WriteLogRequest{Actor: strings.Repeat("a", 300)}, "aaa... (44 more bytes)]"},
	} {
		c.req.Level = 3
		lines := write(t, slog.LevelInfo, c.binding, c.req)
		if len(lines) != 1 || !strings.Contains(lines[0], c.want) {
			t.Errorf("%+v\ngot  %q\nwant %q", c.req, lines, c.want)
		}
	}
}

// TestDefaultLimit: 64 KiB are kept unless told otherwise.
func TestDefaultLimit(t *testing.T) {
	var lines []string
	p := logging.New(&logging.Options{Logger: slog.New(book{lines: &lines})})
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id}, nil); err != nil {
		t.Fatal(err)
	}
	req := loggingpb.WriteLogRequest{Level: 1, Body: strings.Repeat("x", 1<<20)}
	if _, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpWriteLog, Payload: req.AppendProto(nil)}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(lines[0], "x"); n != 64<<10 || !strings.Contains(lines[0], "(983040 more bytes)") {
		t.Errorf("%d bytes were kept", n)
	}
}

func TestContract(t *testing.T) {
	p, ctx := logging.New(nil), t.Context()
	call := func(operation string, payload []byte) error {
		_, err := p.Call(ctx, capability.Call{BindingID: id, Operation: operation, Payload: payload})
		return err
	}
	level := func(n uint32) []byte { return (&loggingpb.WriteLogRequest{Level: n}).AppendProto(nil) }
	for i, c := range []struct {
		err  error
		want capability.Code
	}{
		{call(capability.OpWriteLog, level(0)), capability.CodeUnavailable},
		{p.Bind(ctx, capability.Binding{BindingID: id, Config: map[string]string{"file": "x"}}, nil), capability.CodeInvalid},
		{p.Bind(ctx, capability.Binding{BindingID: id}, nil), ""},
		{p.Bind(ctx, capability.Binding{BindingID: id}, nil), capability.CodeConflict},
		{call("ReadLog", nil), capability.CodeUnsupported},
		{call(capability.OpWriteLog, []byte{0}), capability.CodeInvalid},
		{call(capability.OpWriteLog, level(6)), capability.CodeInvalid},
		{call(capability.OpWriteLog, level(1<<31)), capability.CodeInvalid},
		{call(capability.OpWriteLog, level(0)), ""},
		{p.Unbind(ctx, id), ""},
		{p.Unbind(ctx, id), ""},
		{call(capability.OpWriteLog, level(0)), capability.CodeUnavailable},
		{p.Close(ctx), ""},
		{p.Close(ctx), ""},
		{p.Bind(ctx, capability.Binding{BindingID: id}, nil), capability.CodeUnavailable},
	} {
		if c.want == "" && c.err != nil || c.want != "" && !errors.Is(c.err, &capability.Error{Code: c.want}) {
			t.Errorf("step %d: %v, want %q", i, c.err, c.want)
		}
	}
	if d := p.Describe(); d.Capability != capability.Logging || len(d.Operations) != 1 {
		t.Errorf("%+v", d)
	}
}

func Example() {
	p := logging.New(&logging.Options{Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))})
	ctx := context.Background()
	defer p.Close(ctx)
	if err := p.Bind(ctx, capability.Binding{BindingID: id, GuestName: "hello"}, nil); err != nil {
		panic(err)
	}
	req := loggingpb.WriteLogRequest{Level: 3, Body: "a visitor"}
	if _, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpWriteLog, Payload: req.AppendProto(nil)}); err != nil {
		panic(err)
	}
	// Output: level=INFO msg="a visitor" guest=hello
}
