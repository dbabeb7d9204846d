package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// fakeBackend reports what a test tells it to.
type fakeBackend struct {
	ev     chan fsnotify.Event
	er     chan error
	addErr error
	once   sync.Once

	mu    sync.Mutex
	added []string
}

func (b *fakeBackend) events() <-chan fsnotify.Event { return b.ev }
func (b *fakeBackend) errors() <-chan error          { return b.er }

func (b *fakeBackend) Close() error {
	b.once.Do(func() { close(b.ev); close(b.er) })
	return nil
}

func (b *fakeBackend) Add(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added = append(b.added, dir)
	return b.addErr
}

// bubble is a watcher on a fake backend, in the fake time of a synctest bubble.
type bubble struct {
	*testing.T
	root    string
	w       *Watcher
	b       *fakeBackend // the last one that was opened
	opened  int
	notices []string
	start   time.Time
}

func inBubble(t *testing.T, root string, setup func(*bubble, *Options), body func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &bubble{T: t, root: root, start: time.Now()}
		o := &Options{Root: root, Notice: func(n string) { s.notices = append(s.notices, n) }}
		if setup != nil {
			setup(s, o)
		}
		var addErr error
		if s.b != nil {
			addErr = s.b.addErr
		}
		w, err := newWatcher(context.Background(), o, func() (backend, error) {
			s.opened++
			s.b = &fakeBackend{ev: make(chan fsnotify.Event), er: make(chan error), addErr: addErr}
			return s.b, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.w = w
		defer w.Close()
		body(s)
	})
}

// write changes a file and reports it.
func (s *bubble) write(name, text string) {
	s.Helper()
	s.writeSilently(name, text)
	s.report(name, fsnotify.Write)
}

func (s *bubble) writeSilently(name, text string) {
	s.Helper()
	write(s.T, filepath.Join(s.root, name), text)
}

func (s *bubble) report(name string, op fsnotify.Op) {
	s.b.ev <- fsnotify.Event{Name: filepath.Join(s.root, name), Op: op}
	synctest.Wait()
}

// expectAt wants the next change at a time after the start of the bubble.
func (s *bubble) expectAt(at time.Duration, began time.Duration, paths ...string) {
	s.Helper()
	var c Change
	select {
	case c = <-s.w.Changes():
	case <-time.After(time.Hour): // of fake time
		s.Fatalf("no change; want %q at %v", paths, at)
	}
	if got := time.Since(s.start); got != at || c.At.Sub(s.start) != began || !slices.Equal(c.Paths, paths) {
		s.Errorf("got %q at %v, begun at %v; want %q at %v, begun at %v", c.Paths, got, c.At.Sub(s.start), paths, at, began)
	}
}

// expectNone wants no change until a time after the start of the bubble.
func (s *bubble) expectNone(until time.Duration) {
	s.Helper()
	select {
	case c := <-s.w.Changes():
		s.Errorf("a change after %v: %q", time.Since(s.start), c.Paths)
	case <-time.After(until - time.Since(s.start)):
	}
	synctest.Wait() // the notices are read after this
}

func (s *bubble) wait(until time.Duration) { <-time.After(until - time.Since(s.start)) }

const ms = time.Millisecond

func TestQuietAndMaxWait(t *testing.T) {
	inBubble(t, t.TempDir(), nil, func(s *bubble) {
		s.write("a.go", "1")
		s.wait(20 * ms)
		s.write("b.go", "1")
		s.expectAt(50*ms, 0, "a.go", "b.go")

		s.wait(1000 * ms)
		for i := range 30 { // a stream without a pause
			s.write("c.go", strings.Repeat("x", i+1))
			s.wait(time.Duration(1000+20*(i+1)) * ms)
			if i == 24 {
				s.expectAt(1500*ms, 1000*ms, "c.go")
			}
		}
		s.expectAt(1610*ms, 1500*ms, "c.go")
		s.expectNone(10 * time.Second)
	})
}

// TestNewFolderProlongs: what is written into a folder that is newer than the
// burst belongs to the burst.
func TestNewFolderProlongs(t *testing.T) {
	root := t.TempDir()
	inBubble(t, root, nil, func(s *bubble) {
		s.writeSilently("new/a.go", "1")
		s.report("new", fsnotify.Create)
		if want := []string{root, filepath.Join(root, "new")}; !slices.Equal(s.b.added, want) {
			t.Errorf("watched %q, want %q", s.b.added, want)
		}
		s.wait(20 * ms)
		s.write("new/b.go", "1")
		s.expectAt(50*ms, 0, "new/a.go", "new/b.go")
	})
}

// TestMomentOfNothing is about editors that leave a file empty, or remove it, for
// longer than the quiet window.
func TestMomentOfNothing(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a.go"), "old")
	inBubble(t, root, nil, func(s *bubble) {
		s.write("a.go", "")
		s.wait(100 * ms)
		s.write("a.go", "new")
		s.expectAt(130*ms, 0, "a.go")

		s.wait(1000 * ms)
		s.remove("a.go")
		s.wait(1100 * ms)
		s.write("a.go", "newer")
		s.expectAt(1130*ms, 1000*ms, "a.go")

		s.wait(2000 * ms)
		s.remove("a.go")
		s.wait(2100 * ms)
		s.write("a.go", "newer") // as it was
		s.expectNone(3000 * ms)

		s.remove("a.go") // for good
		s.expectAt(3180*ms, 3000*ms, "a.go")
		s.wait(4000 * ms)
		s.write("a.go", "")
		s.expectAt(4030*ms, 4000*ms, "a.go") // new and empty: no reason to doubt

		s.write("a.go", "text")
		s.expectAt(4060*ms, 4030*ms, "a.go")
		s.write("a.go", "") // emptied for good
		s.expectAt(4240*ms, 4060*ms, "a.go")
		s.expectNone(20 * time.Second)
	})
}

func (s *bubble) remove(name string) {
	s.Helper()
	if err := os.Remove(filepath.Join(s.root, name)); err != nil {
		s.Fatal(err)
	}
	s.report(name, fsnotify.Remove)
}

// TestHeldAtMaxWait: a stream of changes does not keep a doubtful file's company
// waiting for ever, nor is the file believed early.
func TestHeldAtMaxWait(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a.go"), "old")
	inBubble(t, root, nil, func(s *bubble) {
		for i := range 24 {
			s.write("b.go", strings.Repeat("x", i+1))
			s.wait(time.Duration(20*(i+1)) * ms)
		}
		s.write("a.go", "") // at 480 ms
		s.expectAt(500*ms, 0, "b.go")
		s.expectAt(650*ms, 500*ms, "a.go")
	})
}

func TestPendingMerges(t *testing.T) {
	inBubble(t, t.TempDir(), nil, func(s *bubble) {
		s.write("b.go", "1")
		s.wait(1000 * ms)
		s.write("a.go", "1")
		s.write("b.go", "2")
		s.wait(2000 * ms)
		s.expectAt(2000*ms, 0, "a.go", "b.go")
		s.expectNone(9000 * ms)
	})
}

func TestLimits(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"watches": {syscall.ENOSPC, "max_user_watches"},
		"files":   {&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, "ulimit -n"},
		"other":   {errors.New("some reason"), "some reason"},
	} {
		t.Run("add, "+name, func(t *testing.T) {
			setup := func(s *bubble, o *Options) { s.b = &fakeBackend{addErr: test.err} }
			inBubble(t, t.TempDir(), setup, func(s *bubble) { s.expectPolling(test.want) })
		})
		t.Run("open, "+name, func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := &bubble{T: t, root: root, start: time.Now()}
				var err error
				s.w, err = newWatcher(context.Background(), &Options{Root: root, Notice: func(n string) { s.notices = append(s.notices, n) }},
					func() (backend, error) { return nil, test.err })
				if err != nil {
					t.Fatal(err)
				}
				defer s.w.Close()
				s.expectPolling(test.want)
			})
		})
		t.Run("later, "+name, func(t *testing.T) {
			inBubble(t, t.TempDir(), nil, func(s *bubble) {
				s.b.er <- test.err
				synctest.Wait()
				s.expectPolling(test.want)
			})
		})
	}
}

// TestUnreadableFolder is no reason to poll.
func TestUnreadableFolder(t *testing.T) {
	setup := func(s *bubble, o *Options) { s.b = &fakeBackend{addErr: syscall.EACCES} }
	inBubble(t, t.TempDir(), setup, func(s *bubble) {
		s.write("a.go", "1")
		s.expectAt(30*ms, 0, "a.go")
		if len(s.notices) != 0 {
			t.Errorf("notices %q", s.notices)
		}
	})
}

// expectPolling wants the notice, and changes to be found without events.
func (s *bubble) expectPolling(notice string) {
	s.Helper()
	if len(s.notices) != 1 || !strings.Contains(s.notices[0], notice) || !strings.Contains(s.notices[0], "every 500ms") {
		s.Fatalf("notices %q, want one with %q", s.notices, notice)
	}
	s.expectNone(100 * ms)
	for i := range 3 {
		s.writeSilently("new/a.go", fmt.Sprint(i))
		began := time.Duration(500+500*i) * ms
		s.expectAt(began+30*ms, began, "new/a.go")
	}
	s.expectNone(time.Since(s.start) + time.Minute)
}

// TestNoEvents: a system that reports nothing is found out, and one that does is
// not suspected.
func TestNoEvents(t *testing.T) {
	inBubble(t, t.TempDir(), nil, func(s *bubble) {
		s.writeSilently("a.go", "1")
		s.expectAt(2030*ms, 2000*ms, "a.go")
		s.expectNone(4100 * ms)
		if len(s.notices) != 1 || !strings.Contains(s.notices[0], "does not report") {
			t.Fatalf("notices %q", s.notices)
		}
		s.writeSilently("a.go", "2")
		s.expectAt(4530*ms, 4500*ms, "a.go")
	})
	inBubble(t, t.TempDir(), nil, func(s *bubble) {
		s.wait(1990 * ms)
		s.writeSilently("a.go", "1")
		s.writeSilently("new/b.go", "1")
		s.wait(2010 * ms) // found by the look at 2 s; the events come late
		s.report("a.go", fsnotify.Create)
		s.report("new", fsnotify.Create)
		s.expectAt(2040*ms, 2000*ms, "a.go", "new/b.go")
		s.expectNone(time.Minute)
		if len(s.notices) != 0 {
			t.Errorf("notices %q", s.notices)
		}
	})
}

// TestOverflow: lost events cost nothing but a look, and are no sign of a system
// without events.
func TestOverflow(t *testing.T) {
	inBubble(t, t.TempDir(), nil, func(s *bubble) {
		s.writeSilently("a.go", "1")
		s.b.er <- fsnotify.ErrEventOverflow
		s.expectAt(30*ms, 0, "a.go")
		s.wait(1990 * ms)
		s.writeSilently("a.go", "2")
		s.wait(2010 * ms) // after the look at 2 s
		s.b.er <- fsnotify.ErrEventOverflow
		s.expectAt(2040*ms, 2000*ms, "a.go")
		s.expectNone(time.Minute)
		if len(s.notices) != 0 {
			t.Errorf("notices %q", s.notices)
		}
	})
}

// TestNoSuspicion: changes of which a working system reports nothing.
func TestNoSuspicion(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "target.go")
	write(t, outside, "1")
	if err := os.Symlink(outside, filepath.Join(root, "link.go")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	write(t, filepath.Join(root, "a", "x.go"), "1")
	inBubble(t, root, nil, func(s *bubble) {
		write(t, outside, "2") // behind a link
		s.expectAt(2030*ms, 2000*ms, "link.go")
		// A folder that is replaced takes its watch along.
		if err := os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")); err != nil {
			t.Fatal(err)
		}
		s.expectAt(4180*ms, 4000*ms, "a/x.go", "b/x.go")
		s.expectNone(time.Minute)
		if len(s.notices) != 0 || s.opened != 2 {
			t.Errorf("notices %q, %d backends", s.notices, s.opened)
		}
	})
}

// TestPollingWaitsForQuiet: where there are no events, two looks alike are quiet.
func TestPollingWaitsForQuiet(t *testing.T) {
	setup := func(s *bubble, o *Options) { o.ForcePoll = true }
	inBubble(t, t.TempDir(), setup, func(s *bubble) {
		s.writeSilently("a.go", "1")
		s.wait(510 * ms)
		s.writeSilently("b.go", "1")
		s.expectAt(560*ms, 500*ms, "a.go", "b.go")
		if len(s.notices) != 0 || s.opened != 0 {
			t.Errorf("notices %q, %d backends", s.notices, s.opened)
		}
	})
}

// TestLookFails: what cannot be read for a while does not look deleted, and the
// watcher goes on afterwards.
func TestLookFails(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a.go"), "1")
	inBubble(t, root, nil, func(s *bubble) {
		// A path that is too long fails with an error that nothing else has.
		long := "x" + strings.Repeat("y", 200)
		deep := filepath.Join(root, long)
		if err := os.Mkdir(deep, 0o755); err != nil {
			t.Fatal(err)
		}
		outer := filepath.Join(t.TempDir(), "tree")
		for range 25 { // built from the inside out, as no call takes the whole path
			if err := os.Mkdir(outer, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(deep, filepath.Join(outer, long)); err != nil {
				t.Skipf("no such paths here: %v", err)
			}
			if err := os.Rename(outer, deep); err != nil {
				t.Fatal(err)
			}
		}
		s.remove("a.go")
		s.expectNone(10 * time.Second)
		if len(s.notices) != 1 || !strings.Contains(s.notices[0], "trying again") {
			t.Errorf("notices %q", s.notices)
		}
		if err := os.Rename(deep, outer); err != nil {
			t.Fatal(err)
		}
		s.report(long, fsnotify.Rename)
		s.expectAt(10180*ms, 10*time.Second, "a.go")
	})
}

// TestInboxOverflow: a flood of names is bounded and treated as lost events.
func TestInboxOverflow(t *testing.T) {
	in := newInbox()
	b := &fakeBackend{ev: make(chan fsnotify.Event), er: make(chan error)}
	done := make(chan struct{})
	go func() { defer close(done); in.fill(b) }()
	for i := range maxInbox + 10 {
		b.ev <- fsnotify.Event{Name: fmt.Sprint(i), Op: fsnotify.Write}
	}
	b.Close()
	<-done
	if ops, overflow, err := in.take(); len(ops) != maxInbox || !overflow || err != nil {
		t.Errorf("%d names, overflow %v, error %v", len(ops), overflow, err)
	}
	if ops, overflow, _ := in.take(); len(ops) != 0 || overflow {
		t.Error("take left something behind")
	}
}

// TestIrrelevantEvents start no burst: with a log that grows in the tree, others'
// changes come as soon as ever.
func TestIrrelevantEvents(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, ignoreName), "*.log\n")
	setup := func(s *bubble, o *Options) { o.Include = []string{"**/*.go", "**/*.log"} }
	inBubble(t, root, setup, func(s *bubble) {
		s.write("a.go", "1")
		s.wait(20 * ms)
		s.write("x.log", "1")
		s.write("x.txt", "1")
		s.report("a.go", fsnotify.Chmod)
		s.report("../elsewhere.go", fsnotify.Write)
		s.expectAt(30*ms, 0, "a.go")
	})
}

// TestWatchesEachFolderOnce also wants the ignored ones left alone: watches are
// few.
func TestWatchesEachFolderOnce(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a/b/x.go"), "1")
	write(t, filepath.Join(root, "node_modules/m/x.js"), "1")
	write(t, filepath.Join(root, ".git/HEAD"), "1")
	write(t, filepath.Join(root, ignoreName), "node_modules\n")
	inBubble(t, root, nil, func(s *bubble) {
		s.write("a/b/x.go", "2")
		s.expectAt(30*ms, 0, "a/b/x.go")
		s.expectNone(time.Minute)
		want := []string{root, filepath.Join(root, "a"), filepath.Join(root, "a", "b")}
		if !slices.Equal(s.b.added, want) || s.opened != 1 {
			t.Errorf("watched %q of %d backends, want %q", s.b.added, s.opened, want)
		}
		s.report("a", fsnotify.Remove) // and made again, perhaps with the same inode
		s.report("a", fsnotify.Create)
		s.expectNone(time.Since(s.start) + time.Second)
		if !slices.Equal(s.b.added, want) || s.opened != 2 {
			t.Errorf("after a folder was made again: watched %q of %d backends, want %q", s.b.added, s.opened, want)
		}
		if err := os.RemoveAll(filepath.Join(root, "a", "b")); err != nil {
			t.Fatal(err)
		}
		s.report("a/b", fsnotify.Remove)
		at := time.Since(s.start)
		s.expectAt(at+180*ms, at, "a/b/x.go")
		if want = want[:2]; !slices.Equal(s.b.added, want) || s.opened != 3 {
			t.Errorf("after a folder went: watched %q of %d backends, want %q", s.b.added, s.opened, want)
		}
	})
}
