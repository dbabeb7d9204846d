package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// watching is a watcher of a small project, on the system's own events.
type watching struct {
	*testing.T
	root    string
	w       *Watcher
	notices chan string
	markers int
}

// watchProject watches the files that are given, and calls change for the options.
func watchProject(t *testing.T, files map[string]string, change func(*Options)) *watching {
	t.Helper()
	root := filepath.Join(t.TempDir(), "project")
	for name, text := range files {
		write(t, filepath.Join(root, name), text)
	}
	notices := make(chan string, 100)
	o := &Options{Root: root, Notice: func(s string) { notices <- s }}
	if change != nil {
		change(o)
	}
	w, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return &watching{T: t, root: root, w: w, notices: notices}
}

func (w *watching) path(name string) string { return filepath.Join(w.root, filepath.FromSlash(name)) }

func (w *watching) write(name, text string) { w.Helper(); write(w.T, w.path(name), text) }

func (w *watching) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// next returns the next change.
func (w *watching) next() []string {
	w.Helper()
	select {
	case c, ok := <-w.w.Changes():
		if !ok {
			w.Fatal("the watcher has ended")
		}
		if c.At.IsZero() || time.Since(c.At) < 0 {
			w.Errorf("the change began at %v", c.At)
		}
		return c.Paths
	case <-time.After(20 * time.Second):
		w.Fatal("no change was reported")
		return nil
	}
}

// expect wants all of the paths, in one change or in several, and then nothing
// more.
func (w *watching) expect(paths ...string) {
	w.Helper()
	var got []string
	for len(got) < len(paths) {
		got = append(got, w.next()...)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, paths) {
		w.Errorf("got %q, want %q", got, paths)
	}
	w.expectNothing()
}

// expectNothing makes a change of its own, and wants that to be the next one.
func (w *watching) expectNothing() {
	w.Helper()
	w.markers++
	marker := fmt.Sprintf("marker%d.go", w.markers)
	w.write(marker, "package main")
	if got := w.next(); !slices.Equal(got, []string{marker}) {
		w.Errorf("got %q, want nothing but %q", got, marker)
	}
}

func TestWaysOfSaving(t *testing.T) {
	const name, text = "main.go", "package main // new"
	ways := map[string]func(w *watching){
		"write": func(w *watching) { w.write(name, text) },
		"append": func(w *watching) {
			f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_WRONLY, 0)
			w.do(err)
			_, err = f.WriteString("// more")
			w.do(err)
			w.do(f.Close())
		},
		"in pieces": func(w *watching) {
			f, err := os.Create(w.path(name))
			w.do(err)
			for _, c := range text {
				_, err = f.WriteString(string(c))
				w.do(err)
			}
			w.do(f.Close())
		},
		"atomic replace": func(w *watching) {
			w.write("main.go.tmp123", text)
			w.do(os.Rename(w.path("main.go.tmp123"), w.path(name)))
		},
		"remove and write": func(w *watching) {
			w.do(os.Remove(w.path(name)))
			w.write(name, text)
		},
		"vim with backup": func(w *watching) {
			w.write("4913", "")
			w.do(os.Remove(w.path("4913")))
			w.do(os.Rename(w.path(name), w.path(name+"~")))
			w.write(name, text)
			w.do(os.Remove(w.path(name + "~")))
		},
		"jetbrains": func(w *watching) {
			w.write(name+"___jb_tmp___", text)
			w.do(os.Rename(w.path(name), w.path(name+"___jb_old___")))
			w.do(os.Rename(w.path(name+"___jb_tmp___"), w.path(name)))
			w.do(os.Remove(w.path(name + "___jb_old___")))
		},
		"hard link": func(w *watching) {
			w.write("../aside.go", text)
			w.do(os.Remove(w.path(name)))
			w.do(os.Link(w.path("../aside.go"), w.path(name)))
		},
	}
	for way, save := range ways {
		for _, poll := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, poll=%v", way, poll), func(t *testing.T) {
				t.Parallel()
				w := watchProject(t, map[string]string{name: "package main // old"}, func(o *Options) {
					o.Include = []string{"**/*.go"}
					if poll {
						o.ForcePoll, o.PollInterval = true, 20*time.Millisecond
					}
				})
				for range 2 { // the second save starts from what the first has left
					save(w)
					w.expect(name)
					w.write(name, "package main // old")
					w.expect(name)
				}
			})
		}
	}
}

// TestSameSizeAndTime: an event is reason enough to look into a file, whatever its
// time says.
func TestSameSizeAndTime(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	w := watchProject(t, map[string]string{"main.go": "1"}, func(o *Options) {
		if err := os.Chtimes(filepath.Join(o.Root, "main.go"), past, past); err != nil {
			t.Fatal(err)
		}
	})
	f, err := os.OpenFile(w.path("main.go"), os.O_WRONLY, 0)
	w.do(err)
	_, err = f.WriteString("2")
	w.do(err)
	w.do(f.Close())
	w.do(os.Chtimes(w.path("main.go"), past, past))
	w.expect("main.go")
}

// TestRacyTime: the time of a file that was written just now proves nothing.
func TestRacyTime(t *testing.T) {
	s := &scanner{root: t.TempDir()}
	name := filepath.Join(s.root, "a.go")
	var last *tree
	stamp := time.Now()
	for _, text := range []string{"1", "2"} {
		write(t, name, text)
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
		next, err := s.scan(last, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && !slices.Equal(s.differences(last, next), []string{"a.go"}) {
			t.Errorf("differences %q", s.differences(last, next))
		}
		last = next
	}
}

func TestNoChange(t *testing.T) {
	w := watchProject(t, map[string]string{
		"main.go": "package main", "gen/a.go": "x", ".gitignore": "gen/\n*.wasm\n!keep.wasm\n", ".waxo/state": "1", ".git/index": "1", "gone.go": "1",
		"out/guest.bin": "1", "notes.txt": "1", "deep/.gitignore": "local.go\n",
	}, func(o *Options) {
		o.Include = []string{"**/*.go", "**/*.wasm", "**/state", "**/index", "**/*.bin"}
		o.Exclude = []string{"out/*.bin"}
	})
	later := time.Now().Add(time.Hour)
	silent := map[string]func(){
		"touch":          func() { w.do(os.Chtimes(w.path("main.go"), later, later)) },
		"identical save": func() { w.write("main.go", "package main") },
		"identical replace": func() {
			w.write("tmp", "package main")
			w.do(os.Rename(w.path("tmp"), w.path("main.go")))
		},
		"chmod":            func() { w.do(os.Chmod(w.path("main.go"), 0o600)) },
		"ignored folder":   func() { w.write("gen/a.go", "y"); w.write("gen/b/c.go", "y") },
		"ignored file":     func() { w.write("out.wasm", "y") },
		"ignored deeper":   func() { w.write("deep/local.go", "y") },
		"state":            func() { w.write(".waxo/state", "2"); w.write(".waxo/new/state", "2") },
		"git":              func() { w.write(".git/index", "2") },
		"excluded output":  func() { w.write("out/guest.bin", "2") },
		"not included":     func() { w.write("notes.txt", "2") },
		"empty folder":     func() { w.do(os.MkdirAll(w.path("new/folder"), 0o755)) },
		"came and went":    func() { w.write("brief.go", "x"); w.do(os.Remove(w.path("brief.go"))) },
		"backup":           func() { w.write("main.go~", "x"); w.write(".main.go.swp", "x") },
		"there and back":   func() { w.write("main.go", "x"); w.write("main.go", "package main") },
		"folder and back":  func() { w.do(os.Rename(w.path("deep"), w.path("d"))); w.do(os.Rename(w.path("d"), w.path("deep"))) },
		"newly ignored":    func() { w.write(".gitignore", "gen/\n*.wasm\n!keep.wasm\nextra*\ngone.go\n") },
		"ignored for good": func() { w.write("extra.go", "x") },
	}
	// Only what is ignored newly has its turn before the others.
	order := slices.DeleteFunc(sortedKeys(silent), func(name string) bool { return name == "newly ignored" })
	order = append([]string{"newly ignored"}, order...)
	for _, name := range order {
		t.Log(name)
		silent[name]()
		w.expectNothing()
	}
	w.write("keep.wasm", "x") // and a rule that lets something count again
	w.expect("keep.wasm")
}

func TestFolders(t *testing.T) {
	w := watchProject(t, map[string]string{"main.go": "0", "a/x.go": "1", "a/b/y.go": "2"}, nil)
	w.write("n/e/w/z.go", "3")
	w.expect("n/e/w/z.go")
	w.write("n/e/w/z.go", "4") // what lies in the new folders is watched as well
	w.expect("n/e/w/z.go")

	w.do(os.Rename(w.path("a"), w.path("c")))
	w.expect("a/b/y.go", "a/x.go", "c/b/y.go", "c/x.go")
	w.write("c/b/y.go", "5")
	w.expect("c/b/y.go")
	w.write("a/x.go", "6") // the old name again, while the old folder lives on
	w.expect("a/x.go")
	w.write("c/x.go", "7")
	w.expect("c/x.go")

	w.do(os.RemoveAll(w.path("c")))
	w.expect("c/b/y.go", "c/x.go")
	for i := range 3 { // deleted and made again at once, with the same contents, then others
		w.write("c/b/y.go", fmt.Sprint(i))
		w.expect("c/b/y.go")
		w.do(os.RemoveAll(w.path("c")))
		w.write("c/b/y.go", fmt.Sprint(i))
		w.expectNothing()
	}
	w.write("c/b/y.go", "8")
	w.expect("c/b/y.go")

	outside := filepath.Join(filepath.Dir(w.root), "outside")
	write(t, filepath.Join(outside, "moved.go"), "x")
	w.do(os.Rename(outside, w.path("in")))
	w.expect("in/moved.go")
	w.do(os.Rename(w.path("in"), outside))
	w.expect("in/moved.go")
	write(t, filepath.Join(outside, "moved.go"), "y") // it is ours no more
	w.expectNothing()
}

func TestSymlinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	outside := t.TempDir()
	write(t, filepath.Join(outside, "o.go"), "1")
	w := watchProject(t, map[string]string{"main.go": "0", "a/x.go": "1"}, func(o *Options) {
		o.PollInterval = 10 * time.Millisecond
		if err := os.Symlink(o.Root, filepath.Join(o.Root, "a", "loop")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(o.Root, "out")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, "o.go"), filepath.Join(o.Root, "o.go")); err != nil {
			t.Fatal(err)
		}
	})
	write(t, filepath.Join(outside, "other.go"), "2") // a linked folder is not entered
	w.expectNothing()
	write(t, filepath.Join(outside, "o.go"), "2") // a linked file counts as the file
	w.expect("o.go")
	w.do(os.Symlink("nowhere", w.path("dangling.go")))
	w.expectNothing()
	w.do(os.Symlink("main.go", w.path("inner.go")))
	w.expect("inner.go")
	select {
	case n := <-w.notices:
		t.Errorf("a change behind a link was taken for a system without events: %s", n)
	default:
	}
}

func TestRootGoneAndBack(t *testing.T) {
	for _, poll := range []bool{false, true} {
		t.Run(fmt.Sprint("poll=", poll), func(t *testing.T) {
			w := watchProject(t, map[string]string{"main.go": "0", "a/x.go": "1"}, func(o *Options) {
				o.PollInterval, o.ForcePoll = 10*time.Millisecond, poll
			})
			for range 2 {
				aside := w.root + "-aside"
				w.do(os.Rename(w.root, aside))
				if n := <-w.notices; !strings.Contains(n, "is gone") {
					t.Errorf("notice %q", n)
				}
				w.do(os.Rename(aside, w.root))
				if n := <-w.notices; !strings.Contains(n, "is back") {
					t.Errorf("notice %q", n)
				}
				w.expectNothing()
			}
			w.do(os.Rename(w.root, w.root+"-old"))
			<-w.notices
			w.write("main.go", "1")
			<-w.notices
			got := w.next()
			for !slices.Contains(got, "main.go") || !slices.Contains(got, "a/x.go") {
				got = append(got, w.next()...)
			}
			w.write("main.go", "2")
			w.expect("main.go")
			select {
			case n := <-w.notices:
				t.Errorf("one more notice: %s", n)
			default:
			}
		})
	}
}

func TestGitCheckout(t *testing.T) {
	needGit(t)
	files := map[string]string{"go.mod": "module x"}
	for i := range 200 {
		files[fmt.Sprintf("p%d/f.go", i)] = "package p // one"
	}
	w := watchProject(t, files, nil)
	git := func(args ...string) {
		run(t, w.root, nil, "git", append([]string{"-c", "user.name=a", "-c", "user.email=b"}, args...)...)
	}
	git("init", "-q", "-b", "one")
	git("add", ".")
	git("commit", "-qm", "one")
	git("checkout", "-q", "-b", "two")
	var want []string
	for i := range 200 {
		name := fmt.Sprintf("p%d/f.go", i)
		want = append(want, name)
		if i%2 == 0 {
			w.do(os.RemoveAll(filepath.Dir(w.path(name))))
		} else {
			w.write(name, "package p // two")
		}
	}
	slices.Sort(want)
	w.expect(want...)
	git("rm", "-qrf", "--cached", "--ignore-unmatch", "marker1.go")
	git("add", "p*")
	git("commit", "-qam", "two")
	git("checkout", "-q", "one")
	w.expect(want...)
	git("checkout", "-q", "two")
	w.expect(want...)
}

// TestNoLoop plays a builder that writes into the tree it watches.
func TestNoLoop(t *testing.T) {
	w := watchProject(t, map[string]string{"main.go": "0", ".gitignore": "*.log\n"}, func(o *Options) {
		o.Exclude = []string{"guest.wasm"}
	})
	for i := range 3 {
		w.write("main.go", fmt.Sprint("v", i))
		if got := w.next(); !slices.Equal(got, []string{"main.go"}) {
			t.Fatalf("got %q", got)
		}
		w.write("guest.wasm", fmt.Sprint(i))
		w.write("build.log", fmt.Sprint(i))
		w.write(".waxo/cache/x", fmt.Sprint(i))
		w.expectNothing()
	}
}

func TestBurst(t *testing.T) {
	w := watchProject(t, nil, func(o *Options) {
		if err := os.MkdirAll(o.Root, 0o755); err != nil {
			t.Fatal(err)
		}
		o.Quiet, o.MaxWait = 300*time.Millisecond, time.Minute
	})
	var want []string
	for i := range 300 {
		name := fmt.Sprintf("d%d/f%03d.go", i%7, i)
		want = append(want, name)
		w.write(name, "x")
	}
	slices.Sort(want)
	if got := w.next(); !slices.Equal(got, want) {
		t.Errorf("the burst came in pieces: first %d of %d", len(got), len(want))
	}
	w.expectNothing()
}

// TestPending gathers what happens while nobody receives.
func TestPending(t *testing.T) {
	w := watchProject(t, map[string]string{"a.go": "0", "b.go": "0"}, func(o *Options) {
		o.ForcePoll, o.PollInterval = true, time.Millisecond
	})
	w.write("a.go", "1")
	w.write("b.go", "1")
	w.write("a.go", "2")
	w.expect("a.go", "b.go")
}

func TestClose(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	root := t.TempDir()
	w, err := New(ctx, &Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, open := <-w.Changes(); open {
		t.Error("a change after the end")
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNewErrors(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "file"), "x")
	for name, o := range map[string]*Options{
		"missing root": {Root: filepath.Join(root, "none")},
		"root a file":  {Root: filepath.Join(root, "file")},
		"bad include":  {Root: root, Include: []string{"["}},
		"bad exclude":  {Root: root, Exclude: []string{"{a"}},
	} {
		if w, err := New(t.Context(), o); err == nil {
			w.Close()
			t.Errorf("%s was accepted", name)
		}
	}
}
