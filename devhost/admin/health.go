package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
)

// health is the answer of a probe.
type health struct {
	Status  string          `json:"status"` // healthy or unhealthy
	Code    capability.Code `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
}

// question is a health request that several probes may wait for.
type question struct {
	answered chan struct{} // closed when err is set
	err      error
}

// answerHealth asks the guest whether it is well.
func (e *Endpoints) answerHealth(_ http.ResponseWriter, r *http.Request) (int, any) {
	if e.draining.Load() {
		return http.StatusServiceUnavailable, health{"unhealthy", capability.CodeUnavailable, "the host is ending; go elsewhere"}
	}
	err := e.ask(r.Context())
	if err == nil {
		return http.StatusOK, health{Status: "healthy"}
	}
	fault := err
	if h := new(devhost.HealthError); errors.As(err, &h) {
		fault = h.Err
	}
	c := capability.AsError(fault)
	message := c.Message
	if !e.opts.Development {
		message = e.publicly(c.Code)
	}
	return http.StatusServiceUnavailable, health{"unhealthy", c.Code, message}
}

// publicly is what anybody may know of why a guest is not well.
func (e *Endpoints) publicly(code capability.Code) string {
	switch code {
	case capability.CodeDeadline, capability.CodeCanceled:
		return "the guest did not answer within " + e.opts.HealthTimeout.String()
	case capability.CodeOverloaded:
		return "all instances of the guest are busy, and too many calls wait for one"
	case capability.CodeUnavailable:
		return "no guest is running"
	}
	return "the guest is not well; the host's log says why"
}

// ask gets the guest's answer, or that to whoever asked just before.
func (e *Endpoints) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.opts.HealthTimeout)
	defer cancel()
	e.mu.Lock()
	q := e.asked
	if q == nil {
		q = &question{answered: make(chan struct{})}
		e.asked = q
		e.asking.Go(func() { e.put(q) })
	}
	e.mu.Unlock()
	select {
	case <-q.answered:
		return q.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put puts a question to the guest. It is nobody's request: a probe that goes away
// leaves the others their answer.
func (e *Endpoints) put(q *question) {
	ctx, cancel := context.WithTimeout(context.Background(), e.opts.HealthTimeout)
	defer cancel()
	q.err = e.opts.Host.Healthy(ctx)
	e.mu.Lock()
	changed := e.sick != (q.err != nil)
	e.sick = q.err != nil
	e.asked = nil
	e.mu.Unlock()
	switch {
	case changed && q.err != nil:
		e.opts.Log.Warn("probes are told that the guest is not well", "error", q.err)
	case changed:
		e.opts.Log.Info("probes are told that the guest is well again")
	}
	close(q.answered)
}
