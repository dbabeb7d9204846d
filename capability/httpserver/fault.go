package httpserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/waxosuit/waxo/capability"
)

// fault is why the guest's answer does not reach the client.
type fault struct {
	status int
	err    *capability.Error
	client bool // the client's own mistake, so it may hear about it
}

// refuse is the fault of a request that the guest never sees.
func refuse(status int, code capability.Code, message string) *fault {
	return &fault{status: status, err: &capability.Error{Code: code, Message: message}, client: true}
}

// faultOf finds the status for what a dispatcher reported.
func faultOf(err *capability.Error, gone bool) *fault {
	f := &fault{status: http.StatusInternalServerError, err: err}
	switch err.Code {
	case capability.CodeDeadline:
		f.status = http.StatusGatewayTimeout
	case capability.CodeProvider:
		f.status = http.StatusBadGateway
	case capability.CodeOverloaded, capability.CodeUnavailable:
		f.status = http.StatusServiceUnavailable
	case capability.CodeCanceled:
		f.status = http.StatusServiceUnavailable // the host gave it up
		if gone {
			f.status = StatusClientGone
		}
	}
	return f
}

// fail answers a request with a fault, and logs it.
func (h *guestHandler) fail(w http.ResponseWriter, r *http.Request, f *fault, access *Access) {
	access.Status, access.Err = f.status, f.err
	id := rand.Text()
	h.log(r.Context(), f, access, id)
	if f.status == StatusClientGone {
		return
	}
	contentType, body := "text/plain; charset=utf-8", publicText(f, id)
	if h.development {
		contentType, body = page(f, access.Build, id, r.Header.Values("Accept"))
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	header.Set("Cache-Control", "no-store")
	if f.err.Code == capability.CodeOverloaded {
		header.Set("Retry-After", "1")
	}
	if f.client && r.ProtoMajor == 1 {
		header.Set("Connection", "close") // part of the body may still be under way
	}
	w.WriteHeader(f.status)
	n, _ := w.Write(body) // a client that does not read has failed anyway
	if r.Method != http.MethodHead {
		access.BytesOut = int64(n)
	}
}

func (h *guestHandler) log(ctx context.Context, f *fault, access *Access, id string) {
	level := slog.LevelError
	switch {
	case f.status == StatusClientGone:
		level = slog.LevelDebug
	case f.client:
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{
		slog.String("method", access.Method),
		slog.String("path", access.Path),
		slog.Int("status", f.status),
		slog.String("code", string(f.err.Code)),
		slog.String("error", f.err.Message),
		slog.String("request", id),
	}
	if f.err.Detail != "" {
		attributes = append(attributes, slog.String("detail", f.err.Detail))
	}
	if access.Build != "" {
		attributes = append(attributes, slog.String("build", access.Build))
	}
	h.logger.LogAttrs(ctx, level, "request failed", attributes...)
}

// publicText is what anybody may see.
func publicText(f *fault, id string) []byte {
	if f.client {
		return fmt.Appendf(nil, "%s: %s\n", http.StatusText(f.status), f.err.Message)
	}
	return fmt.Appendf(nil, "%s\nrequest: %s\n", http.StatusText(f.status), id)
}

// page is what a developer sees: everything, in the form that the client likes
// best.
func page(f *fault, build, id string, accept []string) (contentType string, body []byte) {
	switch prefer(accept, "text/plain", "text/html", "application/json") {
	case "text/html":
		return "text/html; charset=utf-8", htmlPage(f, build, id)
	case "application/json":
		return "application/json", jsonPage(f, build, id)
	}
	return "text/plain; charset=utf-8", textPage(f, build, id)
}

func textPage(f *fault, build, id string) []byte {
	b := fmt.Appendf(nil, "%d %s\n%s: %s\n", f.status, http.StatusText(f.status), f.err.Code, f.err.Message)
	if f.err.Detail != "" {
		b = fmt.Appendf(b, "\n%s\n", f.err.Detail)
	}
	if build != "" {
		b = fmt.Appendf(b, "\nbuild: %s", build)
	}
	return fmt.Appendf(b, "\nrequest: %s\n", id)
}

func jsonPage(f *fault, build, id string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	// Strings and a number: this cannot fail.
	_ = encoder.Encode(struct {
		Status  int             `json:"status"`
		Code    capability.Code `json:"code"`
		Message string          `json:"message"`
		Detail  string          `json:"detail,omitempty"`
		Build   string          `json:"build,omitempty"`
		Request string          `json:"request"`
	}{f.status, f.err.Code, f.err.Message, f.err.Detail, build, id})
	return b.Bytes()
}

const htmlHead = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%[1]d %[2]s</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
pre { font-size: .875rem; overflow: auto; padding: 1rem; border: 1px solid #8888; white-space: pre-wrap }
small { opacity: .7 }
</style>
<h1>%[1]d %[2]s</h1>
<p><code>%[3]s</code></p>
<pre>%[4]s</pre>
`

func htmlPage(f *fault, build, id string) []byte {
	b := fmt.Appendf(nil, htmlHead, f.status, http.StatusText(f.status), html.EscapeString(string(f.err.Code)), html.EscapeString(f.err.Message))
	if f.err.Detail != "" {
		b = fmt.Appendf(b, "<pre>%s</pre>\n", html.EscapeString(f.err.Detail))
	}
	b = fmt.Appendf(b, "<p><small>request %s", id)
	if build != "" {
		b = fmt.Appendf(b, ", build %s", html.EscapeString(build))
	}
	return append(b, "</small></p>\n</html>\n"...)
}
