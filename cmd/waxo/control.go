package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/control"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// The requests that a running waxo dev answers.
const (
	requestProviders   = "providers"
	requestStateExport = "state/export"
)

// providersRequest asks for a kind of providers, or only which one it is.
type providersRequest struct {
	Set *string `json:"set,omitempty"`
}

// providersAnswer is the choice, "" for that of waxo.toml.
type providersAnswer struct {
	Providers string `json:"providers"`
}

// exportRequest asks for a copy of the state in an empty folder.
type exportRequest struct {
	Folder string `json:"folder"`
}

// controlDir is where waxo dev says how it is steered.
func controlDir(project string) string {
	return filepath.Join(project, manifest.StateDir, "run")
}

// dial reaches the waxo dev of a project; nil where none runs.
func dial(ctx context.Context, project string) (*control.Client, error) {
	c, err := control.Dial(ctx, controlDir(project))
	if errors.Is(err, control.ErrNotRunning) {
		return nil, nil
	}
	return c, err
}

// steer serves the requests of other processes to a waxo dev.
func (a *app) steer(p *project.Project, f *devFlags, c *connect.Connections, faults *fault.Injector, w *workbench.Workbench) (*control.Server, error) {
	dir, err := p.State(filepath.Base(controlDir(p.Dir())))
	if err != nil {
		return nil, err
	}
	mux := &control.Mux{}
	mux.Handle(requestProviders, control.Typed(func(ctx context.Context, r providersRequest) (any, error) {
		if r.Set != nil {
			if err := f.choice.move(*r.Set, func() error { return w.Rebind(ctx) }); err != nil {
				return nil, err
			}
		}
		return providersAnswer{f.choice.get()}, nil
	}))
	mux.Handle(requestStateExport, control.Typed(func(ctx context.Context, r exportRequest) (any, error) {
		return struct{}{}, c.Export(ctx, r.Folder)
	}))
	mux.Handle(requestFault, serveFaults(faults))
	mux.Handle(requestInvoke, serveInvocations(w.Host()))
	return control.Serve(dir, mux)
}
