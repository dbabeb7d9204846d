// Package logging offers the capability "wascap:logging": a guest's lines go
// into the host's log, under the guest's name.
//
// A line carries the attributes guest (the name in the guest's claims), binding
// unless it is the default one, and actor where the guest gave one. Whatever a
// guest writes stays one line and cannot steer a terminal: control characters
// are written as Go writes them in a string. What is longer than the limit is
// cut, and says so.
package logging

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/loggingpb"
)

// LevelTrace is the level of what guests call trace.
const LevelTrace = slog.LevelDebug - 4

// Options configure a Provider; nil works.
type Options struct {
	// Logger takes the lines. Default: slog.Default().
	Logger *slog.Logger

	// MaxBody is how many bytes of a line are kept. Default: 64 KiB.
	MaxBody int
}

// maxActor is how many bytes of an actor's name are kept.
const maxActor = 256

// Provider is the provider of "wascap:logging". A binding has no configuration.
type Provider struct {
	logger   *slog.Logger
	maxBody  int
	bindings capability.Bindings[*slog.Logger]
}

var _ capability.Provider = (*Provider)(nil)

// New makes a provider.
func New(opts *Options) *Provider {
	if opts == nil {
		opts = &Options{}
	}
	return &Provider{logger: cmp.Or(opts.Logger, slog.Default()), maxBody: cmp.Or(opts.MaxBody, 64<<10)}
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.Logging,
		Name:       "Host log",
		Version:    "0.1.0",
		Operations: []string{capability.OpWriteLog},
	}
}

// Bind implements capability.Provider.
func (p *Provider) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	if err := b.NoConfig(capability.Logging); err != nil {
		return err
	}
	logger := p.logger.With("guest", harmless(cmp.Or(b.GuestName, b.Guest), maxActor))
	if b.Name != capability.DefaultBinding {
		logger = logger.With("binding", b.Name)
	}
	return p.bindings.Add(b.BindingID, logger)
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	if c.Operation != capability.OpWriteLog {
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: fmt.Sprintf("wascap:logging has no operation %.100q", c.Operation)}
	}
	var req loggingpb.WriteLogRequest
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, invalid("the payload cannot be decoded: %s", err)
	}
	level, off, err := levelOf(req.Level)
	if err != nil || off || !b.Value.Enabled(ctx, level) {
		return nil, err
	}
	var attrs []slog.Attr
	if req.Actor != "" {
		attrs = append(attrs, slog.String("actor", harmless(req.Actor, maxActor)))
	}
	b.Value.LogAttrs(ctx, level, harmless(req.Body, p.maxBody), attrs...)
	return nil, nil
}

// levelOf is the level of a payload; off is the one that is never written.
func levelOf(n uint32) (level slog.Level, off bool, err error) {
	switch n {
	case 0:
		return 0, true, nil
	case 1:
		return slog.LevelError, false, nil
	case 2:
		return slog.LevelWarn, false, nil
	case 3:
		return slog.LevelInfo, false, nil
	case 4:
		return slog.LevelDebug, false, nil
	case 5:
		return LevelTrace, false, nil
	}
	return 0, false, invalid("there is no log level %d: there are 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace", n)
}

// harmless cuts s after limit bytes and replaces what is not for the eye:
// control characters, and those that reorder or hide what stands beside them.
// One line break at the end is left out.
func harmless(s string, limit int) string {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	cut := 0
	if len(s) > limit {
		for cut = limit; cut > 0 && !utf8.RuneStart(s[cut]); cut-- {
		}
		s, cut = s[:cut], len(s)-cut
	}
	if strings.ContainsFunc(s, hidden) {
		var b strings.Builder
		for _, r := range s {
			if hidden(r) {
				quoted := strconv.QuoteRuneToASCII(r)
				b.WriteString(quoted[1 : len(quoted)-1])
			} else {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if cut > 0 {
		s += fmt.Sprintf("... (%d more bytes)", cut)
	}
	return s
}

func hidden(r rune) bool {
	return r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029')
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// Unbind implements capability.Provider.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	_, _, err := p.bindings.Remove(ctx, id)
	return err
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	_, err := p.bindings.Close(ctx)
	return err
}
