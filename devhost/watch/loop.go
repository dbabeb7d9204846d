package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a file must be gone or empty before that is believed:
	// many editors save by truncating, or by removing and renaming.
	settle = 150 * time.Millisecond

	// checkEvery is how many poll intervals lie between two looks for what
	// events missed.
	checkEvery = 4

	// idleShare bounds the part of the time that looks take: one in idleShare.
	idleShare = 20
)

// loop is the one goroutine that decides. Events only say when to look, and
// where: what has changed is found by comparing the tree with what it was. So a
// lost, late or repeated event does no harm.
type loop struct {
	*Options
	scan    scanner
	open    func() (backend, error)
	changes chan<- Change

	backend   backend // nil while polling
	inbox     *inbox
	filling   sync.WaitGroup
	watched   map[string]fs.FileInfo // the folders that the backend watches
	stale     bool                   // one of them went or was replaced: open the backend anew
	unwatched bool                   // there is a new folder
	polling   bool
	gone      bool   // the root is
	trouble   string // why the last look failed, if it did

	told   *tree // what the receiver knows, pending included
	seen   *tree // the last scan
	dirty  map[string]bool
	absent map[string]time.Time // since when a file is gone or empty
	missed map[string]bool      // changed, but no event said so yet

	pending  Change
	first    time.Time // of the burst; zero: none
	byPoll   bool      // it was found by a look: only another look tells whether it is over
	quiet    *time.Timer
	check    *time.Timer
	lastTook time.Duration
}

func newLoop(o *Options, open func() (backend, error), changes chan<- Change) *loop {
	return &loop{
		Options: o, scan: scanner{root: o.Root, include: o.Include, exclude: o.Exclude},
		open: open, changes: changes, inbox: newInbox(), polling: o.ForcePoll,
		watched: map[string]fs.FileInfo{}, dirty: map[string]bool{}, absent: map[string]time.Time{}, missed: map[string]bool{},
	}
}

// start takes the first look.
func (l *loop) start() error {
	next, err := l.look()
	if err != nil {
		return err
	}
	l.told = next
	return nil
}

func (l *loop) run(ctx context.Context) {
	defer close(l.changes)
	defer l.closeBackend()
	l.quiet = time.NewTimer(time.Hour)
	l.quiet.Stop()
	l.check = time.NewTimer(l.interval())
	defer l.quiet.Stop()
	defer l.check.Stop()
	for {
		var out chan<- Change
		if len(l.pending.Paths) > 0 {
			out = l.changes
		}
		select {
		case <-ctx.Done():
			return
		case out <- l.pending:
			l.pending = Change{}
		case <-l.inbox.signal:
			l.onEvents()
		case <-l.quiet.C:
			l.onQuiet()
		case <-l.check.C:
			l.onCheck()
			l.check.Reset(l.interval())
		}
	}
}

// interval is the time until the next look without a reason.
func (l *loop) interval() time.Duration {
	d := l.PollInterval
	if !l.polling && !l.gone {
		d *= checkEvery
	}
	return max(d, l.lastTook*idleShare)
}

// look scans the tree and sees to it that the backend watches every folder in it.
func (l *loop) look() (*tree, error) {
	start := time.Now()
	if !l.polling {
		l.refreshBackend()
	}
	next, err := l.scan.scan(l.seen, l.dirty, l.enter)
	l.lastTook = time.Since(start)
	if err != nil {
		l.failed(err)
		return nil, err
	}
	l.trouble = ""
	if l.gone {
		l.gone = false
		l.Notice(fmt.Sprintf("%s is back", l.Root))
	}
	l.seen = next
	clear(l.dirty)
	return next, nil
}

// failed tells of a look that failed, once. The first look's error is New's own.
func (l *loop) failed(err error) {
	switch {
	case l.seen == nil:
	case errors.Is(err, errRootGone):
		if !l.gone {
			l.gone = true
			l.stale = true
			l.Notice(fmt.Sprintf("%s is gone: waiting for it to come back", l.Root))
		}
	case l.trouble != err.Error():
		l.trouble = err.Error()
		l.Notice(fmt.Sprintf("cannot look for changes, trying again: %v", err))
	}
}

// refreshBackend opens the backend, anew where a watched folder has gone: what a
// backend does about folders that are renamed, or deleted and made again, differs
// from system to system, and a fresh one has no past.
func (l *loop) refreshBackend() {
	for rel, info := range l.watched {
		stat := os.Lstat
		if rel == "." {
			stat = os.Stat // the root may be a link
		}
		now, err := stat(filepath.Join(l.Root, filepath.FromSlash(rel)))
		if err != nil || !os.SameFile(info, now) {
			l.stale = true
			break
		}
	}
	if l.backend != nil && !l.stale {
		return
	}
	l.closeBackend()
	l.stale = false
	b, err := l.open()
	if err != nil {
		l.poll(err)
		return
	}
	l.backend = b
	l.filling.Go(func() { l.inbox.fill(b) })
}

func (l *loop) closeBackend() {
	if l.backend != nil {
		_ = l.backend.Close() // its channels end in any case, and there is nothing to be done about an error
		l.filling.Wait()
		l.backend = nil
	}
	clear(l.watched)
}

// enter watches a folder before its entries are read, so that nothing falls
// between the two.
func (l *loop) enter(rel string, info fs.FileInfo) {
	if l.backend == nil || l.watched[rel] != nil {
		return
	}
	err := l.backend.Add(filepath.Join(l.Root, filepath.FromSlash(rel)))
	switch {
	case err == nil:
		l.watched[rel] = info
	case isGone(err): // the folder above reports it
	case errors.Is(err, fs.ErrPermission): // what may not be read cannot change for us
	default:
		l.poll(err)
	}
}

// poll gives events up.
func (l *loop) poll(reason error) {
	hint := ""
	switch {
	case errors.Is(reason, syscall.ENOSPC):
		hint = " (the limit of watches is reached; on Linux raise fs.inotify.max_user_watches)"
	case errors.Is(reason, syscall.EMFILE), errors.Is(reason, syscall.ENFILE):
		hint = " (too many files are open; raise ulimit -n, on Linux also fs.inotify.max_user_instances)"
	}
	l.polling = true
	l.closeBackend()
	clear(l.missed)
	l.Notice(fmt.Sprintf("looking for changes every %v from now on: %v%s", l.PollInterval, reason, hint))
}

// onEvents starts a burst, or prolongs it.
func (l *loop) onEvents() {
	ops, relevant, err := l.inbox.take()
	if err != nil && !l.polling {
		l.poll(err)
		l.check.Reset(l.interval())
		relevant = true
	}
	if relevant {
		clear(l.missed) // events were lost: that is no sign of a system without any
	}
	for name, op := range ops {
		relevant = l.relevant(name, op) || relevant
	}
	if relevant {
		l.prolong(false)
	}
	if l.unwatched {
		l.unwatched = false
		_, _ = l.look() // for the watches: what goes on in a new folder prolongs the burst too
	}
}

// relevant says whether an event can be about a file that counts, and keeps what
// it tells.
func (l *loop) relevant(name string, op fsnotify.Op) bool {
	rel, err := filepath.Rel(l.Root, name)
	if err != nil || op&^fsnotify.Chmod == 0 {
		return false
	}
	rel = filepath.ToSlash(rel)
	delete(l.missed, rel)
	left := op.Has(fsnotify.Remove) || op.Has(fsnotify.Rename)
	if _, wasDir := l.seen.dirs[rel]; wasDir {
		for missed := range l.missed {
			if within(missed, rel) {
				delete(l.missed, missed)
			}
		}
		l.stale = l.stale || left || op.Has(fsnotify.Create)
		return l.stale
	}
	parent, known := l.seen.dirs[path.Dir(rel)]
	if !known {
		return false
	}
	if path.Base(rel) == ignoreName {
		return true
	}
	if info, err := os.Lstat(name); err == nil && info.IsDir() {
		counts := !l.scan.skips(rel, true, parent.rules)
		l.unwatched = l.unwatched || counts
		return counts
	}
	if l.scan.skips(rel, false, parent.rules) || !l.scan.includes(rel) {
		return false
	}
	l.dirty[rel] = true
	return true
}

func within(rel, dir string) bool {
	return dir == "." || len(rel) > len(dir) && rel[len(dir)] == '/' && rel[:len(dir)] == dir
}

// prolong waits for quiet, from now on, within MaxWait of the burst's start.
func (l *loop) prolong(byPoll bool) {
	now := time.Now()
	if l.first.IsZero() {
		l.first, l.byPoll = now, byPoll
	}
	l.quiet.Reset(max(0, min(l.Quiet, l.first.Add(l.MaxWait).Sub(now))))
}

// onQuiet looks what a burst has come to.
func (l *loop) onQuiet() {
	before := l.seen
	next, err := l.look()
	if err != nil {
		l.first = time.Time{}
		l.check.Reset(l.interval())
		return
	}
	now := time.Now()
	late := !now.Before(l.first.Add(l.MaxWait))
	if l.byPoll && !late && len(l.scan.differences(before, next)) > 0 {
		l.prolong(true)
		return
	}
	paths := l.scan.differences(l.told, next)
	held := l.hold(paths, next, now)
	if len(held) > 0 && !late {
		l.quiet.Reset(l.untilSettled(now))
		return
	}
	l.commit(paths, held, next)
	l.first = time.Time{}
	if len(held) > 0 {
		l.first = now
		l.quiet.Reset(l.untilSettled(now))
	}
}

// hold returns which of the paths have been gone or empty for too short a time to
// believe it.
func (l *loop) hold(paths []string, next *tree, now time.Time) map[string]bool {
	held := map[string]bool{}
	since := map[string]time.Time{}
	for _, p := range paths {
		old, was := l.told.files[p]
		f, is := next.files[p]
		if !was || is && (f.info.Size() > 0 || old.info.Size() == 0) {
			continue
		}
		since[p] = now
		if t, ok := l.absent[p]; ok {
			since[p] = t
		}
		if now.Sub(since[p]) < settle {
			held[p] = true
		}
	}
	l.absent = since
	return held
}

// untilSettled is the time until the first of the held files may be believed.
func (l *loop) untilSettled(now time.Time) time.Duration {
	wait := settle
	for _, t := range l.absent {
		if d := t.Add(settle).Sub(now); d > 0 {
			wait = min(wait, d)
		}
	}
	return wait
}

// commit tells the receiver of all paths but those that are held.
func (l *loop) commit(paths []string, held map[string]bool, next *tree) {
	told := &tree{files: next.files, dirs: next.dirs}
	if len(held) > 0 {
		told.files = make(map[string]file, len(next.files))
		maps.Copy(told.files, next.files)
	}
	for _, p := range paths {
		if held[p] {
			told.files[p] = l.told.files[p]
		} else {
			l.pending.Paths = append(l.pending.Paths, p)
		}
	}
	l.told = told
	slices.Sort(l.pending.Paths)
	l.pending.Paths = slices.Compact(l.pending.Paths)
	if l.pending.At.IsZero() && len(l.pending.Paths) > 0 {
		l.pending.At = l.first
	}
}

// onCheck looks without a reason: because it polls, because the root is gone, or
// to find what events missed.
func (l *loop) onCheck() {
	l.onEvents() // those that came at the same time
	if !l.first.IsZero() {
		return // the burst in hand ends with a look
	}
	if len(l.missed) > 0 {
		l.poll(errors.New("the system does not report them, as on some network mounts and in some containers"))
	}
	before := l.backend
	next, err := l.look()
	if err != nil {
		return
	}
	changed := l.scan.differences(l.told, next)
	if len(changed) == 0 {
		return
	}
	for _, p := range changed {
		// A backend that was opened just now could not know.
		if !l.polling && l.backend == before && !next.files[p].link {
			l.missed[p] = true
		}
	}
	l.prolong(true)
}
