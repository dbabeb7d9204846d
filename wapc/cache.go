package wapc

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// defaultCacheLimit is some sixty Go guests.
const defaultCacheLimit = 512 << 20

// abandoned is the age of an unfinished file that only a killed process can
// have left.
const abandoned = time.Hour

// What the engine's library keeps in a cache: a folder for each of its versions,
// and in it a file for each module, which is written aside and then renamed.
// Nothing else is touched: the directory may be one that has other things, too.
var (
	cacheFolder  = regexp.MustCompile(`^wazero-`)
	cacheFile    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	unfinishedIn = regexp.MustCompile(`^[0-9a-f]{64}\..*\.tmp$`)
)

// diskCache bounds a directory of compiled code. A file that another process
// wants just then is compiled again; one that it has open stays readable, or
// cannot be removed yet.
type diskCache struct {
	dir   string
	limit int64

	mu      sync.Mutex
	again   bool // asked for while one was under way
	running bool
	done    sync.WaitGroup
}

// trim removes what is too much, in the background: a guest need not wait for
// it.
func (d *diskCache) trim() {
	if d.limit < 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = true
	if d.running {
		return
	}
	d.running = true
	d.done.Go(func() {
		for d.next() {
			d.remove(time.Now())
		}
	})
}

// next tells whether there is something to do, and ends the running if not.
func (d *diskCache) next() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.again = d.again, false
	return d.running
}

// wait waits until nothing is under way.
func (d *diskCache) wait() { d.done.Wait() }

type cachedCode struct {
	path    string
	size    int64
	changed time.Time
}

// remove looks through the directory once. What cannot be read or removed is
// left for the next time: another process may be at it.
func (d *diskCache) remove(now time.Time) {
	var files []cachedCode
	total := int64(0)
	for _, folder := range entries(d.dir, cacheFolder, fs.FileMode.IsDir) {
		folder = filepath.Join(d.dir, folder)
		for _, name := range entries(folder, unfinishedIn, fs.FileMode.IsRegular) {
			path := filepath.Join(folder, name)
			if info, err := os.Lstat(path); err == nil && now.Sub(info.ModTime()) > abandoned {
				_ = os.Remove(path)
			}
		}
		for _, name := range entries(folder, cacheFile, fs.FileMode.IsRegular) {
			path := filepath.Join(folder, name)
			if info, err := os.Lstat(path); err == nil {
				files = append(files, cachedCode{path, info.Size(), info.ModTime()})
				total += info.Size()
			}
		}
	}
	slices.SortFunc(files, func(a, b cachedCode) int {
		return cmp.Or(a.changed.Compare(b.changed), cmp.Compare(a.path, b.path))
	})
	for _, f := range files {
		if total <= d.limit {
			return
		}
		if os.Remove(f.path) == nil {
			total -= f.size
		}
	}
}

// entries names what a folder holds, of a kind and with a name that fits.
// Symbolic links are of neither kind.
func entries(folder string, name *regexp.Regexp, kind func(fs.FileMode) bool) []string {
	all, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range all {
		if name.MatchString(e.Name()) && kind(e.Type()) {
			names = append(names, e.Name())
		}
	}
	return names
}
