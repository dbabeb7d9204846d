package workbench

import (
	"path"
	"slices"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// bystanders are the files of a Go project that no toolchain reads unless a
// source embeds them: notes, pages, logs, even what waxo dev itself prints, where
// that is kept in the project. They do not cancel a build, and one whose change
// has changed nothing is left alone until a source changes. Otherwise a file that
// grows with each build would keep every build from ending.
type bystanders struct {
	any  bool            // there are such files; of a custom build nothing is known
	idle map[string]bool // those that no source embeds
}

func newBystanders(m *manifest.Manifest) *bystanders {
	return &bystanders{any: m.Language == manifest.LanguageGo, idle: map[string]bool{}}
}

// all says whether there are no sources among the files.
func (b *bystanders) all(paths []string) bool {
	return b.any && len(paths) > 0 && !slices.ContainsFunc(paths, isGoSource)
}

// idles says whether a change of the files is known to change nothing.
func (b *bystanders) idles(paths []string) bool {
	return b.all(paths) && !slices.ContainsFunc(paths, func(p string) bool { return !b.idle[p] })
}

// learn takes note of a build that began for the files and gave the same module.
func (b *bystanders) learn(paths []string) {
	if b.all(paths) {
		for _, p := range paths {
			b.idle[p] = true
		}
	}
}

// forget is for changes of sources: they may embed what they did not before.
func (b *bystanders) forget(paths []string) {
	if !b.all(paths) {
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
