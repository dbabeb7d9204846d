package wapc

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// defaultCacheLimit is some sixty Go guests.
const defaultCacheLimit = 512 << 20

// abandoned is the age of an unfinished entry that only a killed process can
// have left.
const abandoned = time.Hour

// cacheFolder holds the entries: the cache's directory may have other things,
// too.
const cacheFolder = "modules"

// An entry is made aside and then renamed, and renamed before it is removed: one
// that is there is whole. Nothing of another name is touched.
var (
	entryName   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
	unfinished  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}\.[0-9]+\.tmp$`) })
	errNotThere = errors.New("there is no such entry")
)

// diskCache keeps compiled modules in a directory, and bounds it. Nothing is
// locked: what another process removes just then is compiled again, and of two
// that write the same, the last one wins.
type diskCache struct {
	folder string
	limit  int64

	mu      sync.Mutex
	again   bool // to look at the limit; asked for while that was under way
	running bool
	closed  bool
	done    sync.WaitGroup
}

func newDiskCache(dir string, limit int64) (*diskCache, error) {
	folder, err := filepath.Abs(filepath.Join(dir, cacheFolder))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	return &diskCache{folder: folder, limit: cmp.Or(limit, defaultCacheLimit)}, nil
}

func (d *diskCache) entry(key moduleKey) string {
	return filepath.Join(d.folder, hex.EncodeToString(key[:]))
}

// load returns the code of a module from its entry. An entry that is there and
// cannot be used is removed.
func (d *diskCache) load(ctx context.Context, key moduleKey, b building) (c *code, f facts, err error) {
	folder := d.entry(key)
	content, err := os.ReadFile(filepath.Join(folder, entryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f, errNotThere
	}
	if err != nil {
		return nil, f, err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			d.remove(folder)
		}
	}()
	h, p, err := decodeEntry(content)
	if err == nil && h.Key != key {
		err = errDamaged
	}
	if err != nil {
		return nil, f, err
	}
	whole := make(chan bool, 1)
	go func() {
		sum, size, err := sumFile(filepath.Join(folder, h.MachineCode))
		whole <- err == nil && sum == h.Sum && size == h.Size
	}()
	im := newImage(p.spans)
	defer im.drop()
	if b.cache, err = wazero.NewCompilationCacheWithDir(folder); err == nil {
		c, err = build(context.WithoutCancel(ctx), p, im, b)
	}
	if !<-whole && err == nil {
		err = errors.Join(errDamaged, c.drop(context.WithoutCancel(ctx)))
		c = nil
	}
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(folder, now, now) // it is the newest now; not so where one may only read
	}
	return c, p.facts, err
}

// scratch is where an entry is made.
type scratch struct {
	disk   *diskCache
	key    moduleKey
	folder string
	config wazero.RuntimeConfig
}

// full is the folder in which the engine leaves the machine code.
const full = "full"

// begin returns nil where nothing can be written.
func (d *diskCache) begin(key moduleKey, config wazero.RuntimeConfig) (*scratch, wazero.CompilationCache) {
	folder, err := os.MkdirTemp(d.folder, hex.EncodeToString(key[:])+".*.tmp")
	if err != nil {
		return nil, nil
	}
	s := &scratch{d, key, folder, config}
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(folder, full))
	if err != nil {
		s.abandon()
		return nil, nil
	}
	return s, cache
}

func (s *scratch) abandon() { _ = os.RemoveAll(s.folder) }

// keep makes an entry of what the engine has left in the scratch folder, in the
// background: a guest need not wait for it. Where that fails, there is none.
func (s *scratch) keep(p *prepared) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if s.disk.closed {
		s.abandon()
		return
	}
	s.disk.done.Go(func() {
		if s.finish(p) != nil {
			s.abandon()
		}
		s.disk.trim()
	})
}

func (s *scratch) finish(p *prepared) error {
	made, err := machineCode(filepath.Join(s.folder, full))
	if err != nil {
		return err
	}
	if err := s.compileSkeleton(p); err != nil {
		return err
	}
	wanted, err := machineCode(s.folder)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.folder, full, made), filepath.Join(s.folder, wanted)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.folder, full)); err != nil {
		return err
	}
	h := entryHeader{Key: s.key, MachineCode: wanted}
	if h.Sum, h.Size, err = sumFile(filepath.Join(s.folder, wanted)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.folder, entryFile), encodeEntry(h, p), 0o600); err != nil {
		return err
	}
	entry := s.disk.entry(s.key)
	if err = os.Rename(s.folder, entry); err != nil && s.disk.remove(entry) {
		// Another process was faster, or something that is no entry stood there.
		err = os.Rename(s.folder, entry)
	}
	return err
}

// compileSkeleton has the engine leave the skeleton's own machine code, so that
// it is known where the engine will look for it.
func (s *scratch) compileSkeleton(p *prepared) error {
	cache, err := wazero.NewCompilationCacheWithDir(s.folder)
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := build(ctx, &prepared{facts: p.facts, code: p.skeleton}, nil, building{config: s.config, cache: cache})
	return errors.Join(err, c.drop(ctx))
}

// trim removes what is too much, in the background: a guest need not wait for
// it.
func (d *diskCache) trim() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.again = true
	if d.running || d.limit < 0 {
		return
	}
	d.running = true
	d.done.Go(func() {
		for d.next() {
			d.shrink(time.Now())
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

// close waits until nothing is under way, and lets nothing begin.
func (d *diskCache) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.done.Wait()
}

type cacheEntry struct {
	path string
	size int64
	used time.Time
}

// shrink looks through the directory once. What cannot be read or removed is
// left for the next time: another process may be at it.
func (d *diskCache) shrink(now time.Time) {
	all, err := os.ReadDir(d.folder)
	if err != nil {
		return
	}
	var entries []cacheEntry
	total := int64(0)
	for _, e := range all {
		info, err := e.Info()
		if err != nil || !e.IsDir() { // a symbolic link is no directory
			continue
		}
		path := filepath.Join(d.folder, e.Name())
		switch {
		case entryName().MatchString(e.Name()):
			entries = append(entries, cacheEntry{path, sizeOf(path), info.ModTime()})
			total += entries[len(entries)-1].size
		case unfinished().MatchString(e.Name()) && now.Sub(info.ModTime()) > abandoned:
			_ = os.RemoveAll(path)
		}
	}
	slices.SortFunc(entries, func(a, b cacheEntry) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	for _, e := range entries {
		if total <= d.limit {
			return
		}
		if d.remove(e.path) {
			total -= e.size
		}
	}
}

// remove removes an entry, and tells whether it did.
func (d *diskCache) remove(path string) bool {
	aside, err := os.MkdirTemp(d.folder, filepath.Base(path)+".*.tmp")
	if err != nil {
		return false
	}
	err = os.Rename(path, filepath.Join(aside, entryFile))
	_ = os.RemoveAll(aside)
	return err == nil
}

// sizeOf adds up the files below a folder, as far as they can be looked at.
func sizeOf(folder string) (size int64) {
	_ = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}
