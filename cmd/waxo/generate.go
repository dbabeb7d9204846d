package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/templates/workflows"
)

func (a *app) generateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "generate",
		Short:   "Write what other tools need to know of a project",
		Example: "  waxo generate github-actions",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.workflowCommand("github-actions", "GitHub Actions", ".github/workflows/waxo.yml", workflows.GitHub),
		a.workflowCommand("gitlab", "GitLab CI/CD", ".gitlab-ci.yml", workflows.GitLab),
	)
	return cmd
}

// workflowCommand writes a workflow for a service of continuous integration.
func (a *app) workflowCommand(name, service, file string, write func(workflows.Settings) ([]byte, error)) *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   name,
		Short: "Write a workflow for " + service,
		Long: fmt.Sprintf(`Write a workflow for %s into %s of the repository that the
project belongs to, or of the project where it belongs to none. It installs waxo in
the version of this program where that is one that can be fetched, and else the
latest; builds the guest, signs it with throwaway keys and verifies the signature;
runs the tests and checks conformance, and keeps the results in JUnit's form.

What it needs is pinned, it may do no more than read the source, and what Go and waxo
compile is cached. For a guest that cargo or npm builds the toolchain is installed;
where it is another command, a line marks where what that needs is to be installed.`, service, file),
		Example: "  waxo generate " + name,
		Args:    cli.Args(cobra.NoArgs),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; - for standard output (default "+file+")")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.openProject("", nil)
		if err != nil {
			return err
		}
		root := repository(p.Dir())
		folder, err := filepath.Rel(root, p.Dir())
		if err != nil {
			return err
		}
		text, err := write(workflows.Settings{
			Name: p.Manifest().Name, Folder: filepath.ToSlash(folder), Waxo: published(cli.Version().Version),
			Toolchain: workflows.ToolchainOf(p.Manifest().Build.Command),
		})
		if err != nil {
			return err
		}
		if output == "-" {
			_, err := a.Out.Write(text)
			return err
		}
		if output == "" {
			output = shorten(filepath.Join(root, filepath.FromSlash(file)))
		}
		if err := place(output, text, force); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.Out, output)
		return err
	}
	return cmd
}

// place writes a file, also over one that is there if it is to.
func place(file string, text []byte, force bool) error {
	if _, err := os.Lstat(file); err == nil && !force {
		return fmt.Errorf("%s is there already: --force replaces it, -o writes elsewhere", file)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return project.WriteFile(file, text, 0o644)
}

// repository is the folder of the git repository that a folder belongs to, or the
// folder itself where it belongs to none.
func repository(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if filepath.Dir(at) == at {
			return dir
		}
	}
}
