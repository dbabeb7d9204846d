package console

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/devhost/workbench"
)

// Handler shows log records on a console. The attribute "detail" may have
// several lines and stands below.
func (c *Console) Handler(level slog.Leveler) slog.Handler { return &handler{console: c, level: level} }

type handler struct {
	console *Console
	level   slog.Leveler
	attrs   []slog.Attr
	group   string
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := workbench.Event{Time: r.Time, Kind: workbench.KindLog, Level: r.Level.String()}
	var b strings.Builder
	b.WriteString(r.Message)
	write := func(a slog.Attr) bool {
		if a.Key == "detail" || strings.HasSuffix(a.Key, ".detail") {
			e.Detail = a.Value.String()
			return true
		}
		value := a.Value.Resolve().String()
		if strings.ContainsAny(value, " \t\n\"") || value == "" {
			value = strings.ReplaceAll("\""+strings.ReplaceAll(value, `"`, `\"`)+"\"", "\n", `\n`)
		}
		b.WriteString(" " + a.Key + "=" + value)
		return true
	}
	for _, a := range h.attrs {
		write(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.group + a.Key
		return write(a)
	})
	e.Message = b.String()
	h.console.Event(e)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.group += name + "."
	}
	return &next
}
