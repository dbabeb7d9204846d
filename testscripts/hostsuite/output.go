package hostsuite

import (
	"context"
	"strings"
	"sync"
)

// maxOutput bounds what is kept of what a host prints, in bytes.
const maxOutput = 8 << 20

// output is what was printed up to now. It can be waited for.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed when there is more
	ended   bool
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write takes what was printed. It is an io.Writer's.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := maxOutput - o.text.Len(); room > 0 {
		o.text.Write(b[:min(len(b), room)])
	}
	if !o.ended {
		close(o.changed)
		o.changed = make(chan struct{})
	}
	return len(b), nil
}

// end says that there will be no more.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		o.ended = true
		close(o.changed)
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until what was printed is as wanted. It returns false where that
// does not come any more.
func (o *output) await(ctx context.Context, wanted func(text string) bool) bool {
	for {
		o.mu.Lock()
		text, changed, ended := o.text.String(), o.changed, o.ended
		o.mu.Unlock()
		if wanted(text) {
			return true
		}
		if ended {
			return false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
