package watch

import (
	"errors"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// backend reports what happens in folders; fsnotify's Watcher is the real one.
type backend interface {
	// Add watches a folder, not what lies below. Its errors are the system's:
	// fs.ErrNotExist, ENOSPC, EMFILE.
	Add(dir string) error

	// Close ends both channels.
	Close() error

	events() <-chan fsnotify.Event
	errors() <-chan error
}

type systemBackend struct{ *fsnotify.Watcher }

func (b systemBackend) events() <-chan fsnotify.Event { return b.Events }
func (b systemBackend) errors() <-chan error          { return b.Errors }

func newSystemBackend() (backend, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return systemBackend{w}, nil
}

// maxInbox bounds the paths that are kept; beyond it a look at everything says
// more than they do.
const maxInbox = 4096

// inbox gathers events while the watcher is busy: a backend that is not drained
// loses events, or blocks.
type inbox struct {
	signal chan struct{} // holds one when something is in

	mu       sync.Mutex
	ops      map[string]fsnotify.Op
	overflow bool  // events were lost
	err      error // the backend is broken
}

func newInbox() *inbox {
	return &inbox{signal: make(chan struct{}, 1), ops: map[string]fsnotify.Op{}}
}

// fill moves what b reports into the inbox until b is closed.
func (in *inbox) fill(b backend) {
	events, errs := b.events(), b.errors()
	for events != nil || errs != nil {
		select {
		case event, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			in.put(func() {
				if len(in.ops) < maxInbox {
					in.ops[event.Name] |= event.Op
				} else {
					in.overflow = true
				}
			})
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			in.put(func() {
				if errors.Is(err, fsnotify.ErrEventOverflow) {
					in.overflow = true
				} else {
					in.err = err
				}
			})
		}
	}
}

func (in *inbox) put(change func()) {
	in.mu.Lock()
	change()
	in.mu.Unlock()
	select {
	case in.signal <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (in *inbox) take() (ops map[string]fsnotify.Op, overflow bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	ops, overflow, err = in.ops, in.overflow, in.err
	in.ops, in.overflow, in.err = map[string]fsnotify.Op{}, false, nil
	return ops, overflow, err
}
