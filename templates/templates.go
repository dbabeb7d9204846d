// Package templates has the projects that "waxo new" writes, one folder each.
//
// The Go files of a template are part of this module, so they are compiled,
// vetted and tested like everything else; a project gets them as they are, with
// its own go.mod and, for a guest, a copy of the SDK. In its other files the words project-name
// stand for the project's name.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/guest"
)

// Template is a project to start from.
type Template struct {
	Name        string
	Language    string // as in waxo.toml
	Description string
	Provider    bool // a provider plugin, not a guest: there is no waxo.toml
}

// Default is the template for those who name none.
const Default = "kvcounter"

// List returns the templates, the default one first.
func List() []Template {
	return []Template{
		{Name: "kvcounter", Language: "go", Description: "counts requests in the key-value store"},
		{Name: "http", Language: "go", Description: "a JSON API with a router, and a page with a form"},
		{Name: "provider", Language: "go", Description: "a provider plugin: a key-value store in memory", Provider: true},
	}
}

// What Write may report; its errors match these.
var (
	ErrUnknownTemplate = errors.New("unknown template")
	ErrInvalidName     = errors.New("invalid project name")
	ErrNotEmpty        = errors.New("the folder is not empty")
)

// Options are what Write may be told.
type Options struct {
	// ProjectName is the name in waxo.toml and the module in go.mod. The default is
	// the last part of the folder's path.
	ProjectName string

	// Version is the version of this module that a provider's project requires. The
	// default is none, and leaves it to "go mod tidy" to take the latest.
	Version string
}

//go:embed kvcounter http provider
var files embed.FS

const placeholder = "project-name"

// module is this one, which providers import.
const module = "github.com/waxosuit/waxo"

const (
	gitignore         = ".waxo/\n*.wasm\n*.nk\n"
	gitignoreProvider = "plugins/\n*.nk\n"
)

// Write writes the template of that name into dir, and returns the paths of the
// files within dir, sorted. dir must be absent or empty. On an error, dir is as it
// was. The error matches one of those above, or is one of the file system.
func Write(dir, name string, opts *Options) ([]string, error) {
	if opts == nil {
		opts = &Options{}
	}
	template, ok := Find(name)
	if !ok {
		return nil, fmt.Errorf("%w %q: there are %s", ErrUnknownTemplate, name, names())
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	project := opts.ProjectName
	if project == "" {
		project = filepath.Base(dir)
	}
	if err := CheckName(project); err != nil {
		return nil, err
	}
	exists, err := checkEmpty(dir)
	if err != nil {
		return nil, err
	}
	parent := dir // of the temporary folder: within dir, or beside it
	if !exists {
		parent = filepath.Dir(dir)
		if err := os.MkdirAll(parent, 0o777); err != nil {
			return nil, err
		}
	}
	temp, err := os.MkdirTemp(parent, ".waxo-new-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	finished := filepath.Join(temp, project)
	paths, err := fill(finished, template, project, opts.Version)
	if err != nil {
		return nil, err
	}
	if !exists {
		return paths, os.Rename(finished, dir)
	}
	return paths, moveEntries(finished, dir)
}

// Find returns the template of that name.
func Find(name string) (Template, bool) {
	all := List()
	i := slices.IndexFunc(all, func(t Template) bool { return t.Name == name })
	if i < 0 {
		return Template{}, false
	}
	return all[i], true
}

func names() string {
	var all []string
	for _, t := range List() {
		all = append(all, t.Name)
	}
	return strings.Join(all, ", ")
}

// checkEmpty reports whether dir exists, and fails if there is anything in it.
func checkEmpty(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(entries) == 0:
		return true, nil
	}
	const most = 5
	var found []string
	for _, e := range entries[:min(most, len(entries))] {
		found = append(found, e.Name())
	}
	if more := len(entries) - most; more > 0 {
		found = append(found, fmt.Sprintf("and %d more", more))
	}
	return true, fmt.Errorf("%w: %s holds %s", ErrNotEmpty, dir, strings.Join(found, ", "))
}

// fill makes the folder of a project and writes its files.
func fill(dir string, t Template, project, version string) ([]string, error) {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	template, err := fs.Sub(files, t.Name)
	if err != nil {
		return nil, err
	}
	var paths []string
	write := func(path string, content []byte) error {
		paths = append(paths, path)
		return os.WriteFile(filepath.Join(dir, filepath.FromSlash(path)), content, 0o666)
	}
	err = fs.WalkDir(template, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if e.IsDir() {
			return os.Mkdir(filepath.Join(dir, filepath.FromSlash(path)), 0o777)
		}
		content, err := fs.ReadFile(template, path)
		if err != nil {
			return err
		}
		if filepath.Ext(path) != ".go" {
			content = []byte(strings.ReplaceAll(string(content), placeholder, project))
		}
		return write(path, content)
	})
	if err != nil {
		return nil, err
	}
	mod, ignored := goMod(project), gitignore
	if t.Provider {
		mod, ignored = goModProvider(project, version), gitignoreProvider
	}
	if err := errors.Join(write("go.mod", mod), write(".gitignore", []byte(ignored))); err != nil {
		return nil, err
	}
	if !t.Provider {
		sdk, err := guest.WriteGoSDK(filepath.Join(dir, "sdk"))
		if err != nil {
			return nil, err
		}
		for _, path := range sdk {
			paths = append(paths, "sdk/"+path)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

func goMod(project string) []byte {
	return fmt.Appendf(nil, "module %s\n\ngo %s\n\nrequire %s v%s\n\nreplace %[3]s => ./sdk\n",
		project, guest.GoVersion, guest.GoSDKModule, guest.GoSDKVersion)
}

func goModProvider(project, version string) []byte {
	text := fmt.Appendf(nil, "module %s\n\ngo %s\n", project, guest.GoVersion)
	if version != "" {
		text = fmt.Appendf(text, "\nrequire %s %s\n", module, version)
	}
	return text
}

// moveEntries moves what is in from into the empty folder to, or leaves that empty.
func moveEntries(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			for _, moved := range entries[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(to, moved.Name())))
			}
			return err
		}
	}
	return nil
}
