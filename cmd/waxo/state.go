package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/state"
)

// exportResult is what waxo state export says.
type exportResult struct {
	File    string `json:"file"`
	Files   int    `json:"files"` // that it holds
	Bytes   int64  `json:"bytes"`
	Running bool   `json:"running"` // it was copied from servers that serve
}

// importResult is what waxo state import says.
type importResult struct {
	Project string    `json:"project"` // whose state it was
	Created time.Time `json:"created"`
}

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Export, import and reset what the embedded servers of a project keep",
		Long: `Carry away, bring back or remove what the embedded servers of a project (Redis,
NATS, S3) keep between two runs of waxo dev. It lies in .waxo/state. What real
services keep, in containers or at URLs, is theirs.`,
		Example: "  waxo state export before.tar.gz\n  waxo state reset\n  waxo state import before.tar.gz",
		Args:    cli.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.stateExportCommand(), a.stateImportCommand(), a.stateResetCommand())
	return cmd
}

func (a *app) stateExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the state into a file, also while waxo dev runs",
		Long: `Write what the embedded servers keep into FILE, a tar archive that is compressed
with gzip. FILE appears when it is whole, in the place of one that is there. Where
waxo dev runs, each of its servers is copied as it stands at one moment.`,
		Example: "  waxo state export before.tar.gz",
		Args:    cli.Args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		p, err := a.openProject("", &project.Options{})
		if err != nil {
			return err
		}
		result, err := exportState(cmd.Context(), p, args[0])
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, result)
		}
		fmt.Fprintf(a.Out, "%s holds %d file(s) of state, %d bytes\n", result.File, result.Files, result.Bytes)
		return nil
	}
	return cmd
}

func exportState(ctx context.Context, p *project.Project, file string) (result exportResult, err error) {
	dir, err := p.State("state")
	if err != nil {
		return result, err
	}
	running, err := dial(ctx, p.Dir())
	if err != nil {
		return result, err
	}
	if running != nil {
		defer running.Close()
		result.Running = true
		kept := dir
		if dir, err = os.MkdirTemp(filepath.Dir(dir), "export-*"); err != nil {
			return result, err
		}
		defer os.RemoveAll(dir)
		if err := running.Call(ctx, requestStateExport, exportRequest{Folder: dir}, nil); err != nil {
			return result, err
		}
		if err := state.Complete(ctx, kept, dir); err != nil {
			return result, err
		}
	}
	if result.Files, err = state.Export(ctx, dir, file, p.Manifest().Name); err != nil {
		return result, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return result, err
	}
	result.File, result.Bytes = file, info.Size()
	return result, nil
}

func (a *app) stateImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Put the state of a file in the place of the project's",
		Long: `Put what waxo state export wrote into FILE in the place of what the embedded
servers keep, all of it or nothing. waxo dev must not run.`,
		Example: "  waxo state import before.tar.gz",
		Args:    cli.Args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		dir, err := a.idleState(cmd.Context())
		if err != nil {
			return err
		}
		head, err := state.Import(cmd.Context(), args[0], dir)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, importResult{Project: head.Project, Created: head.Created})
		}
		fmt.Fprintf(a.Out, "the state is that of %s, %s\n", head.Project, head.Created.Local().Format(time.DateTime))
		return nil
	}
	return cmd
}

func (a *app) stateResetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset",
		Short: "Remove the state",
		Long: `Remove what the embedded servers of the project keep: the next waxo dev begins with
empty ones. waxo dev must not run. There is no way back but an export.`,
		Example: "  waxo state export before.tar.gz && waxo state reset",
		Args:    cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.idleState(cmd.Context())
			if err != nil {
				return err
			}
			return state.Reset(dir)
		},
	}
}

// idleState returns the folder of the project's state, which no waxo dev may use.
func (a *app) idleState(ctx context.Context) (string, error) {
	p, err := a.openProject("", &project.Options{})
	if err != nil {
		return "", err
	}
	running, err := dial(ctx, p.Dir())
	if err != nil {
		return "", err
	}
	if running != nil {
		running.Close()
		return "", errors.New("waxo dev runs in this project, and its servers use the state: stop it first")
	}
	return p.State("state")
}
