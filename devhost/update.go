package devhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/wascap"
)

// Updates says which modules may take the place of the one that runs.
type Updates struct {
	// Trust are the public keys of the accounts whose modules are taken in.
	// Default: none is.
	Trust []string

	// Grant are the capabilities that a module may claim, as claims call them.
	// Default: none.
	Grant []string
}

// Update has a signed module take the place of the one that runs, and tells
// whether it did: for the module that runs already, nothing is done. The module
// must hold as for Prepare, be signed by an account of Options.Updates, have the
// key of the module that runs, claim nothing beyond what is granted, and not be
// older: its revision is not lower, and where it is the same, it was not signed
// before. It serves once it was found healthy and, where it can be, is compiled;
// until then, and after every error, the one before does.
//
// Every error is a *capability.Error: CodeDenied where the host does not take in
// such a module, CodeConflict while another update is under way or for a module
// that is older, CodeInvalid where the module itself is at fault,
// CodeUnavailable where nothing runs, CodeDeadline or CodeCanceled with ctx.
func (h *Host) Update(ctx context.Context, module []byte) (g *Guest, updated bool, err error) {
	if h.opts.Updates == nil {
		return nil, false, refused(capability.CodeDenied, "live update is off on this host; a production host takes it that was started with --live-update")
	}
	if !h.updating.TryLock() {
		return nil, false, refused(capability.CodeConflict, "another update is under way; try again when it has ended")
	}
	defer h.updating.Unlock()
	old := h.current.Load()
	if old == nil {
		return nil, false, h.noGuest()
	}
	token, err := h.verify(module)
	if err != nil {
		return nil, false, updateError(ctx, err)
	}
	if err := h.opts.Updates.admit(&token.Claims, old.claims); err != nil {
		return nil, false, err
	}
	if token.String() == old.token {
		return old, false, nil
	}
	if g, err = h.prepareUpdate(ctx, module); err != nil {
		return nil, false, updateError(ctx, err)
	}
	if err := h.Activate(g); err != nil {
		return nil, false, updateError(ctx, errors.Join(err, g.Close(context.WithoutCancel(ctx))))
	}
	return g, true, nil
}

// prepareUpdate prepares a guest and lets it be compiled, if that is to be: it
// takes over from one that runs compiled, at whatever load.
func (h *Host) prepareUpdate(ctx context.Context, module []byte) (*Guest, error) {
	g, err := h.Prepare(ctx, module, nil)
	if err != nil {
		return nil, err
	}
	if err := g.Compiled(ctx); err != nil {
		return nil, errors.Join(err, g.Close(context.WithoutCancel(ctx)))
	}
	return g, nil
}

// admit decides whether a module with these claims, which hold, may take the
// place of another.
func (u *Updates) admit(claims, running *wascap.Claims) error {
	if !slices.Contains(u.Trust, claims.Issuer) {
		return refused(capability.CodeDenied, "the module is signed by %s, which this host does not trust; sign it with the account of the module that runs, or start the host with --trust %[1]s", claims.Issuer)
	}
	if claims.Subject != running.Subject {
		return refused(capability.CodeDenied, "the module has the key %s, but %s runs here; sign it with that module key, or run it as a host of its own", claims.Subject, running.Subject)
	}
	for _, c := range claims.Capabilities {
		if !slices.Contains(u.Grant, c) {
			return refused(capability.CodeDenied, "the module claims %s, which this host does not grant; start the host anew with this module, or sign it without that claim", c)
		}
	}
	switch {
	case claims.Revision < running.Revision:
		return refused(capability.CodeConflict, "the module is of revision %d, but %d runs; sign it with a higher one if it is meant to run again", claims.Revision, running.Revision)
	case claims.Revision == running.Revision && claims.IssuedAt.Before(running.IssuedAt):
		return refused(capability.CodeConflict, "the module was signed before the one that runs, which has the same revision, %d; sign it again if it is meant to run again", claims.Revision)
	}
	return nil
}

// updateError tells why a module does not take over.
func updateError(ctx context.Context, err error) error {
	invalid := new(wascap.VerifyError)
	switch {
	case ctx.Err() != nil:
		return capability.AsError(ctx.Err())
	case errors.Is(err, ErrThrowawayKeys):
		return refused(capability.CodeDenied, "%v", ErrThrowawayKeys)
	case errors.Is(err, ErrClosed):
		return refused(capability.CodeUnavailable, "%v", ErrClosed)
	case errors.As(err, &invalid): // what wraps it is for programmers
		return refused(capability.CodeInvalid, "%v", invalid)
	}
	return refused(capability.CodeInvalid, "the module does not run here: %v", err)
}

// performUpdate is Update as an operation.
func (h *Host) performUpdate(ctx context.Context, payload []byte) error {
	var request corepb.LiveUpdate
	if err := request.UnmarshalProto(payload); err != nil {
		return refused(capability.CodeInvalid, "the payload is no core.LiveUpdate: %v", err)
	}
	// The payload is the caller's again when the call returns.
	_, _, err := h.Update(ctx, bytes.Clone(request.NewModule))
	return err
}

// guestsDoNotUpdate is what a guest hears that asks for an update.
func guestsDoNotUpdate() *capability.Error {
	return refused(capability.CodeDenied, "a guest may not have modules replaced, itself included; those who run the host may: POST the signed module to /liveupdate of a production host that was started with --live-update")
}

func refused(code capability.Code, format string, args ...any) *capability.Error {
	return &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
