package hostsuite

import (
	"context"
	"time"
)

// Engine is a host that is a library: it loads modules and calls them. Its
// methods are called from several goroutines at once.
type Engine interface {
	// Name is the host's name and version, for the report.
	Name() string

	// Load admits a module and makes it ready for calls. An error means that the
	// module is refused: its text is what a user of the library would read.
	Load(ctx context.Context, module []byte, opts *LoadOptions) (Guest, error)
}

// Guest is a module that an Engine has loaded.
type Guest interface {
	// Call has the guest handle an operation, spelled as on the wire. The error
	// is a *GuestError where the guest reported one, and any other where it
	// crashed, took too long, or the host ended the call.
	Call(ctx context.Context, operation string, payload []byte) ([]byte, error)

	// Close releases the guest.
	Close(ctx context.Context) error
}

// LoadOptions are what a host owes to a guest besides its calls.
type LoadOptions struct {
	// HostCall serves the guest's host calls. The error's text is what the guest
	// gets to read.
	HostCall func(ctx context.Context, call HostCall) ([]byte, error)

	// Log takes the lines that the guest writes.
	Log func(line string)

	CallTimeout time.Duration // for one call; 0: the host's default
	Memory      int64         // bytes of an instance; 0: the host's default
	Body        int           // bytes of payloads and responses; 0: the host's default
}

// HostCall is a host call as the guest made it.
type HostCall struct {
	Binding, Namespace, Operation string
	Payload                       []byte
}

// GuestError is an error that a guest reported in the way of the protocol.
type GuestError struct{ Text string }

func (e *GuestError) Error() string { return e.Text }
