package plugin

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/waxosuit/waxo/capability"
)

const (
	maxBackoff = 30 * time.Second
	steady     = time.Minute // a plugin that lived so long starts from the first delay again

	// bindTimeout bounds how long one binding may take to be made again.
	bindTimeout = 10 * time.Second
)

// watch keeps the plugin running until the provider is closed.
func (p *Provider) watch(in *instance) {
	defer close(p.done)
	delay := p.opts.Backoff
	for {
		born := time.Now()
		if !p.attend(in) {
			return
		}
		if time.Since(born) >= steady {
			delay = p.opts.Backoff
		}
		died := fmt.Sprintf("died (%s)", in.process.reason())
		p.state.Store(&state{away: died + " and is being started again"})
		in.stop()
		p.opts.Log.Error("the plugin "+died, "plugin", p.name, "restart_in", delay)
		if in = p.restart(&delay, died); in == nil {
			return
		}
		p.opts.Log.Info("the plugin was started again", "plugin", p.name)
	}
}

// attend waits for the end of an instance, and meanwhile makes bindings that it
// lacks. It returns false when the provider is closed first.
func (p *Provider) attend(in *instance) bool {
	delay := p.opts.Backoff
	for {
		var again <-chan time.Time
		if in.lacks.Load() > 0 {
			delay = min(2*delay, maxBackoff)
			again = time.After(delay)
		}
		select {
		case <-p.ctx.Done():
			return false
		case <-in.process.exited:
			return true
		case <-again:
			p.rebind(in)
		}
	}
}

// restart starts the plugin until it runs, with growing delays. It returns nil
// when the provider is closed first.
func (p *Provider) restart(delay *time.Duration, died string) *instance {
	for {
		select {
		case <-p.ctx.Done():
			return nil
		case <-time.After(*delay):
		}
		*delay = min(2**delay, maxBackoff)
		in, _, err := p.start(p.ctx)
		if err == nil {
			p.mu.Lock()
			for id, b := range p.bindings {
				if b.stands {
					in.unbound[id] = &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("the plugin %s died and has not been bound again yet", p.name)}
				}
			}
			in.lacks.Store(int64(len(in.unbound)))
			p.mu.Unlock()
			p.rebind(in)
			p.state.Store(&state{instance: in})
			return in
		}
		if p.ctx.Err() != nil {
			return nil
		}
		p.state.Store(&state{away: fmt.Sprintf("%s and could not be started again: %v", died, err)})
		p.opts.Log.Error("the plugin could not be started again", "plugin", p.name, "error", err, "next_in", *delay)
	}
}

// rebind makes the bindings that an instance lacks.
func (p *Provider) rebind(in *instance) {
	in.mu.Lock()
	lacks := maps.Clone(in.unbound)
	in.mu.Unlock()
	for id := range lacks {
		err := p.bindAgain(in, id)
		if p.ctx.Err() != nil {
			return
		}
		in.mu.Lock()
		if err == nil {
			delete(in.unbound, id)
		} else {
			in.unbound[id] = err
		}
		in.lacks.Store(int64(len(in.unbound)))
		in.mu.Unlock()
	}
}

// bindAgain makes one binding as it was, if it still is to be.
func (p *Provider) bindAgain(in *instance, id capability.BindingID) error {
	entry := func() *binding {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.bindings[id]
	}
	b := entry()
	if b == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, bindTimeout)
	defer cancel()
	if err := in.bind(ctx, b.binding); err != nil {
		p.opts.Log.Error("the plugin could not be bound again", "plugin", p.name, "binding", id.Name, "guest", b.binding.GuestName, "error", err)
		return err
	}
	if entry() != b { // unbound meanwhile, by somebody who did not see this instance
		return in.unbind(ctx, id)
	}
	return nil
}
