package watch

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// racyWindow is how old a file's time must be before it proves anything: a file
// can be written twice within one tick of a coarse clock (FAT: two seconds).
const racyWindow = 3 * time.Second

// maxHashed bounds the files whose contents are looked at; larger ones are
// compared by size and time, so that a disk image in the tree does not slow every
// look down.
const maxHashed = 64 << 20

// errRootGone says that the root is no folder at present.
var errRootGone = errors.New("the watched folder is gone")

// tree is what a scan has seen. Paths are relative to the root, with slashes.
type tree struct {
	files map[string]file
	dirs  map[string]dir // the root is "."
}

type file struct {
	info fs.FileInfo
	sum  uint64
	racy bool // the time proves nothing yet
	link bool // a symbolic link to a file: changes of its target cause no event here
}

type dir struct {
	info  fs.FileInfo
	rules *ruleSet
}

// scanner reads the tree. Its sums compare within one scanner alone.
type scanner struct {
	root    string
	include []string
	exclude []string
	seed    maphash.Seed
	prefix  string // the root as the rules see it
}

// scan reads the tree anew. Sums of files that look the same as in last are
// taken over, unless they are in dirty. enter is called for each folder before
// its entries are read; nil: not at all.
func (s *scanner) scan(last *tree, dirty map[string]bool, enter func(rel string, info fs.FileInfo)) (*tree, error) {
	info, err := os.Stat(s.root)
	switch {
	case err == nil && !info.IsDir(), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", errRootGone, s.root)
	case err != nil:
		return nil, err
	}
	if s.seed == (maphash.Seed{}) {
		s.seed = maphash.MakeSeed()
	}
	next := &tree{files: map[string]file{}, dirs: map[string]dir{}}
	var rules *ruleSet
	rules, s.prefix = outerRules(s.root)
	w := &walk{scanner: s, last: last, next: next, dirty: dirty, enter: enter, now: time.Now()}
	return next, w.dir(".", info, rules)
}

// walk is one scan under way.
type walk struct {
	*scanner
	last, next *tree
	dirty      map[string]bool
	enter      func(string, fs.FileInfo)
	now        time.Time
}

// dir reads a folder and what lies below. Folders come and go meanwhile, and about
// one that may not be read a compiler says more than a watcher could; any other
// error, such as too many open files, fails the scan: what could not be read must
// not look deleted.
func (w *walk) dir(rel string, info fs.FileInfo, rules *ruleSet) error {
	if w.enter != nil {
		w.enter(rel, info)
	}
	abs := filepath.Join(w.root, filepath.FromSlash(rel))
	entries, err := os.ReadDir(abs)
	switch {
	case rel == "." && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s", errRootGone, w.root)
	case isGone(err) || rel != "." && errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return err
	}
	rules = readRules(rules, abs, w.ruled(rel))
	w.next.dirs[rel] = dir{info, rules}
	for _, entry := range entries {
		name := path.Join(rel, entry.Name())
		if w.skips(name, entry.IsDir(), rules) {
			continue
		}
		info, err := entry.Info()
		switch {
		case isGone(err):
			continue
		case err != nil:
		case info.IsDir():
			err = w.dir(name, info, rules)
		case info.Mode().IsRegular():
			err = w.file(name, info, false)
		case info.Mode()&fs.ModeSymlink != 0:
			err = w.link(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isGone says whether an error only means that something is not there any more,
// or is something else by now.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// link takes a link to a file for the file. Links to folders are not followed,
// as no toolchain does, so there are no loops and no ways out of the tree.
func (w *walk) link(rel string) error {
	info, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil || !info.Mode().IsRegular() {
		return nil // it leads nowhere, in circles, or to a folder
	}
	return w.file(rel, info, true)
}

func (w *walk) file(rel string, info fs.FileInfo, link bool) error {
	if !w.includes(rel) {
		return nil
	}
	f := file{info: info, link: link, racy: w.now.Sub(info.ModTime()) < racyWindow}
	if w.last != nil && !w.dirty[rel] {
		if old, ok := w.last.files[rel]; ok && !old.racy && sameStat(old.info, info) {
			f.sum = old.sum
			w.next.files[rel] = f
			return nil
		}
	}
	sum, err := w.hash(rel, info)
	switch {
	case isGone(err):
		return nil
	case err != nil && !errors.Is(err, fs.ErrPermission):
		return err
	}
	f.sum = sum // 0 where it may not be read; the toolchain will say so
	w.next.files[rel] = f
	return nil
}

func (w *walk) hash(rel string, info fs.FileInfo) (uint64, error) {
	var h maphash.Hash
	h.SetSeed(w.seed)
	if info.Size() > maxHashed {
		fmt.Fprint(&h, info.Size(), info.ModTime().UnixNano())
		return h.Sum64(), nil
	}
	f, err := os.Open(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := io.Copy(&h, f); err != nil {
		return 0, err
	}
	return h.Sum64(), nil
}

func sameStat(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}

// ruled returns a path as the rules see it.
func (s *scanner) ruled(rel string) string {
	if rel == "." {
		return s.prefix
	}
	return path.Join(s.prefix, rel)
}

// skips says whether a path never counts.
func (s *scanner) skips(rel string, isDir bool, rules *ruleSet) bool {
	name := path.Base(rel)
	if isDir && privateDirs[name] || !isDir && isTemporary(name) {
		return true
	}
	return matches(s.exclude, rel) || rules.ignores(s.ruled(rel), isDir)
}

// includes says whether a file counts that nothing skips.
func (s *scanner) includes(rel string) bool {
	return len(s.include) == 0 || matches(s.include, rel)
}

func matches(patterns []string, rel string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return doublestar.MatchUnvalidated(p, rel) })
}

// differences returns the paths whose contents differ between two scans.
func (s *scanner) differences(last, next *tree) []string {
	var paths []string
	for rel, f := range next.files {
		if old, ok := last.files[rel]; !ok || old.sum != f.sum {
			paths = append(paths, rel)
		}
	}
	for rel := range last.files {
		if _, ok := next.files[rel]; !ok && !exists(filepath.Join(s.root, filepath.FromSlash(rel))) {
			paths = append(paths, rel) // what is there still has only become ignored
		}
	}
	slices.Sort(paths)
	return paths
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
