package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/waxosuit/waxo/testscripts/script"
)

// Folder is where a project's scripts are, below its own folder.
const Folder = "testscripts"

// ErrNoScripts is the error of Find for a project without scripts.
var ErrNoScripts = errors.New("there are no scripts")

// Find reads the scripts of a project, or those in the files that are named. Its
// error matches ErrNoScripts where there are none, and tells how to begin.
func Find(dir string, files []string) ([]*script.Script, error) {
	if len(files) == 0 {
		var err error
		if files, err = filepath.Glob(filepath.Join(dir, Folder, "*.txtar")); err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%w in %s; begin with one, such as %s:\n\n%s", ErrNoScripts,
				filepath.Join(dir, Folder), filepath.Join(Folder, "first.txtar"), firstScript)
		}
	}
	var scripts []*script.Script
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := script.Parse(filepath.Base(file), data)
		if err != nil {
			return nil, err
		}
		if s.Path, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(scripts, func(other *script.Script) bool { return other.Name == s.Name }) {
			return nil, fmt.Errorf("two scripts are called %s: rename one of them", s.Name)
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

// firstScript shows how to begin.
const firstScript = `    # The guest answers.
    http GET /
    status 200
    stdout .
`
