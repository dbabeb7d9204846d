package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/waxosuit/waxo/capability"
)

// update is the answer to a module that was taken in.
type update struct {
	Status string `json:"status"` // updated, or unchanged for the module that runs already
	identity
}

// answerUpdate takes in a module.
func (e *Endpoints) answerUpdate(w http.ResponseWriter, r *http.Request) (int, any) {
	answer, err := e.takeIn(w, r)
	if err == nil {
		return http.StatusOK, answer
	}
	c := capability.AsError(err)
	e.opts.Log.Warn("live update refused", "from", r.RemoteAddr, "code", string(c.Code), "reason", c.Message)
	return statusOf(c.Code), refuse(c.Code, "%s", c.Message)
}

func (e *Endpoints) takeIn(w http.ResponseWriter, r *http.Request) (*update, error) {
	if !e.opts.LiveUpdate {
		return nil, fault(capability.CodeDenied, "live update is off here; a production host takes it that was started with --live-update")
	}
	// Else a page that somebody visits could send modules to what is reached from
	// there alone.
	if err := e.crossOrigin.Check(r); err != nil {
		return nil, fault(capability.CodeDenied, "live update is not for pages of other origins: %v", err)
	}
	if e.draining.Load() {
		return nil, fault(capability.CodeUnavailable, "the host is ending")
	}
	if !e.uploading.TryLock() {
		return nil, fault(capability.CodeConflict, "another update is under way; try again when it has ended")
	}
	defer e.uploading.Unlock()
	module, err := e.read(w, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), e.opts.UpdateTimeout)
	defer cancel()
	g, updated, err := e.opts.Host.Update(ctx, module)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fault(capability.CodeDeadline, "the module was not compiled and found healthy within %v; the one before goes on serving", e.opts.UpdateTimeout)
	case err != nil:
		return nil, err
	}
	answer := &update{"unchanged", identify(g.Claims())}
	if updated {
		answer.Status = "updated"
		e.opts.Log.Info("live update", "from", r.RemoteAddr, "issuer", answer.Issuer, "version", answer.Version, "revision", answer.Revision, "hash", g.Claims().Hash)
	}
	return answer, nil
}

// read reads a module off a request.
func (e *Endpoints) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	const tooLarge = "the module is larger than %d bytes; make it smaller, or start the host with a higher --live-update-size"
	if r.ContentLength > e.opts.MaxModule {
		return nil, fault(capability.CodeTooLarge, tooLarge, e.opts.MaxModule)
	}
	var module bytes.Buffer
	module.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // so that it does not grow as it is read
	_, err := module.ReadFrom(http.MaxBytesReader(w, r.Body, e.opts.MaxModule))
	beyond := new(http.MaxBytesError)
	switch {
	case errors.As(err, &beyond):
		return nil, fault(capability.CodeTooLarge, tooLarge, beyond.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fault(capability.CodeDeadline, "the module did not arrive within %v", e.opts.UploadTimeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fault(capability.CodeInvalid, "the request's body ended early; send the module again")
	case err != nil:
		return nil, fault(capability.CodeInvalid, "the request's body could not be read: %v", err)
	case !bytes.HasPrefix(module.Bytes(), []byte("\x00asm")): // as of a form, or of curl -d
		return nil, fault(capability.CodeInvalid, "the request's body is no WebAssembly module; send the signed module as it is, such as with curl --data-binary @hello.wasm")
	}
	return module.Bytes(), nil
}

func fault(code capability.Code, format string, args ...any) error {
	return &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// statusOf is the HTTP status of a refusal.
func statusOf(code capability.Code) int {
	switch code {
	case capability.CodeDenied:
		return http.StatusForbidden
	case capability.CodeConflict:
		return http.StatusConflict
	case capability.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case capability.CodeInvalid:
		return http.StatusUnprocessableEntity
	case capability.CodeDeadline:
		return http.StatusRequestTimeout
	case capability.CodeUnavailable, capability.CodeCanceled:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
