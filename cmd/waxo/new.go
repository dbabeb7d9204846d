package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/templates"
)

// newResult is what waxo new says.
type newResult struct {
	Folder   string   `json:"folder"`
	Template string   `json:"template"`
	Files    []string `json:"files"` // relative to the folder
}

func (a *app) newCommand() *cobra.Command {
	var template, lang string
	var list bool
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a new project into the folder NAME",
		Long: `Write a new project into the folder NAME, which must be empty or not there yet.
A guest's project stands alone: it holds the guest SDK, and needs nothing but the
toolchain of its language. A provider's requires the module of waxo, in the version
of this program where that is one that can be fetched, and else the latest.`,
		Example: "  waxo new hello\n  waxo new shop --template http\n  waxo new store --template provider\n  waxo new --list",
		Args:    cli.Args(cobra.MaximumNArgs(1)),
	}
	cmd.Flags().StringVar(&template, "template", templates.Default, "what to write; --list shows them all")
	cmd.Flags().StringVar(&lang, "lang", "", "take the first template in this language")
	cmd.Flags().BoolVar(&list, "list", false, "list the templates")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if list {
			return a.listTemplates(*format)
		}
		if len(args) == 0 {
			return cli.Usage(errors.New("name the folder: waxo new NAME"))
		}
		if lang != "" {
			var err error
			if template, err = inLanguage(lang, template, cmd.Flags().Changed("template")); err != nil {
				return err
			}
		}
		files, err := templates.Write(args[0], template, &templates.Options{Version: published(cli.Version().Version)})
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, newResult{Folder: args[0], Template: template, Files: files})
		}
		if cli.Quiet(cmd) {
			return nil
		}
		next := "waxo dev " + args[0]
		if t, _ := templates.Find(template); t.Provider {
			next = "cd " + args[0] + " && go mod tidy && go test ./..."
		}
		_, err = fmt.Fprintf(a.Out, "made %s from the template %s; next: %s\n", args[0], template, next)
		return err
	}
	return cmd
}

// published returns a version of this module that can be fetched, "" for one that
// was built from a working copy.
func published(version string) string {
	if !strings.HasPrefix(version, "v") || strings.Contains(version, "+") {
		return ""
	}
	return version
}

func (a *app) listTemplates(format string) error {
	all := templates.List()
	if format == "json" {
		type row struct {
			Name        string `json:"name"`
			Language    string `json:"language"`
			Description string `json:"description"`
			Provider    bool   `json:"provider"` // a provider plugin, not a guest
		}
		rows := make([]row, len(all))
		for i, t := range all {
			rows[i] = row(t)
		}
		return writeJSON(a.Out, rows)
	}
	t := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, x := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", x.Name, x.Language, x.Description)
	}
	return t.Flush()
}

// inLanguage picks a template by language: the one that was named, if it is in
// that language, else the first.
func inLanguage(lang, template string, named bool) (string, error) {
	var languages []string
	for _, t := range templates.List() {
		if t.Language == lang && (!named || t.Name == template) {
			return t.Name, nil
		}
		if !slices.Contains(languages, t.Language) {
			languages = append(languages, t.Language)
		}
	}
	if slices.Contains(languages, lang) {
		return "", cli.Usage(fmt.Errorf("there is no template %q in %s; see waxo new --list", template, lang))
	}
	return "", cli.Usage(fmt.Errorf("there is no template in %s; the languages are %s", lang, strings.Join(languages, ", ")))
}
