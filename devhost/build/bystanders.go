package build

import (
	"path"
	"slices"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// Bystanders are the files of a Go project that no toolchain reads unless a
// source embeds them: notes, pages, logs, even what waxo itself prints, where that
// is kept in the project. They do not cancel a build, and one whose change
// has changed nothing is left alone until a source changes. Otherwise a file that
// grows with each build would keep every build from ending.
type Bystanders struct {
	any  bool            // there are such files; of a custom build nothing is known
	idle map[string]bool // those that no source embeds
}

// NewBystanders knows none yet.
func NewBystanders(m *manifest.Manifest) *Bystanders {
	return &Bystanders{any: m.Language == manifest.LanguageGo, idle: map[string]bool{}}
}

// All says whether there are no sources among the files.
func (b *Bystanders) All(paths []string) bool {
	return b.any && len(paths) > 0 && !slices.ContainsFunc(paths, isGoSource)
}

// Idles says whether a change of the files is known to change nothing.
func (b *Bystanders) Idles(paths []string) bool {
	return b.All(paths) && !slices.ContainsFunc(paths, func(p string) bool { return !b.idle[p] })
}

// Learn takes note of a build that began for the files and gave the same module.
func (b *Bystanders) Learn(paths []string) {
	if b.All(paths) {
		for _, p := range paths {
			b.idle[p] = true
		}
	}
}

// Forget is for changes of sources: they may embed what they did not before.
func (b *Bystanders) Forget(paths []string) {
	if !b.All(paths) {
		clear(b.idle)
	}
}

// isGoSource says whether the Go toolchain, or waxo, may read a file by itself.
func isGoSource(p string) bool {
	switch path.Base(p) {
	case manifest.FileName, "go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt":
		return true
	}
	switch path.Ext(p) {
	case ".go", ".s", ".S", ".h", ".c", ".syso":
		return true
	}
	return false
}
