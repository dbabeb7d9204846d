package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wascap"
)

// writeTimeout bounds how long a client may take to receive an answer.
const writeTimeout = 10 * time.Second

// refusal is the answer to what is not done.
type refusal struct {
	Status  string          `json:"status"`
	Code    capability.Code `json:"code"`
	Message string          `json:"message"`
}

func refuse(code capability.Code, format string, args ...any) refusal {
	return refusal{"refused", code, fmt.Sprintf(format, args...)}
}

// identity is what may be known of a module.
type identity struct {
	Module       string   `json:"module"` // its key
	Issuer       string   `json:"issuer"`
	Capabilities []string `json:"capabilities"`
	Name         string   `json:"name,omitempty"`
	Version      string   `json:"version,omitempty"`
	Revision     int      `json:"revision"`
}

func identify(c *wascap.Claims) identity {
	return identity{
		Module: c.Subject, Issuer: c.Issuer, Capabilities: append([]string{}, c.Capabilities...),
		Name: c.Name, Version: c.Version, Revision: c.Revision,
	}
}

// answerID tells which module runs.
func (e *Endpoints) answerID(http.ResponseWriter, *http.Request) (int, any) {
	g := e.opts.Host.Current()
	if g == nil {
		return http.StatusServiceUnavailable, refuse(capability.CodeUnavailable, "no guest is running yet")
	}
	return http.StatusOK, identify(g.Claims())
}

// serve answers one request, if it has one of the methods.
func (e *Endpoints) serve(w http.ResponseWriter, r *http.Request, answer func(http.ResponseWriter, *http.Request) (int, any), methods ...string) {
	connection := http.NewResponseController(w)
	if r.Body != http.NoBody {
		// Also for a body that nobody wants: net/http may read on, to the next
		// request. It lifts the deadline at the body's end.
		_ = connection.SetReadDeadline(time.Now().Add(e.opts.UploadTimeout)) // every server here can
	}
	var status int
	var body any
	if slices.Contains(methods, r.Method) {
		status, body = answer(w, r)
	} else {
		status, body = http.StatusMethodNotAllowed, refuse(capability.CodeUnsupported, "%s answers %s", r.URL.Path, strings.Join(methods, " and "))
		w.Header().Set("Allow", strings.Join(methods, ", "))
	}
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	header := w.Header()
	if r.Body != http.NoBody && r.ProtoMajor == 1 && (status >= 400 || r.Method != http.MethodPost) {
		// Part of the body may still be under way: without this, net/http waits
		// for it before it sends the answer.
		header.Set("Connection", "close")
	}
	var text bytes.Buffer
	_ = json.NewEncoder(&text).Encode(body) // strings and numbers: this cannot fail
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(text.Len()))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a client that does not read has failed anyway
}
