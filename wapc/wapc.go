// Package wapc runs WebAssembly guests that speak the waPC call protocol.
//
// An Engine compiles modules, a Module makes pools, a Pool keeps instances of
// its module and hands each call to one of them. A guest has the functions of
// the import module "wapc" and nothing else: a module that asks for more is
// refused before any of it runs.
//
// What the package promises:
//
//   - An instance serves one call at a time and is never re-entered. One that
//     trapped, ran out of its time or broke the protocol is thrown away.
//   - Every wait is bounded: by PoolOptions and by the caller's context.
//   - No bytes that a caller or a Host gets alias the guest's memory.
//   - A call allocates nothing but what it returns, with CallAppend not even that,
//     and one with host calls a small context besides.
//   - Nothing that a guest does makes the process panic; what went wrong is
//     told apart by the type of the error.
//
// A limit on a guest's memory does not bound its stack. A guest that recurses
// deeply may use up to 100 MB for that before it traps: wazero lets the stack of
// compiled code double as long as it is below 50 MB. An instance keeps what it
// has used until it is thrown away, and the copies that were made on the way are
// garbage for a while. Interpreted guests are bound to about the same.
//
// It knows no capability, no claim and no network: what a host call means is
// up to the Host.
package wapc

import "context"

// Host is what a guest reaches through its imports. Its methods are called
// from several goroutines at once, but for one invocation never at once.
type Host interface {
	// HostCall performs a call of the guest. An error's text is what the guest
	// gets to read; the error itself comes back in GuestError.HostErr or
	// TrapError.HostErr if the guest fails because of it. The context ends with
	// the invocation's deadline or when its caller goes away: HostCall should
	// return soon after. The returned bytes are the package's until the guest
	// has made its next host call or has returned; they may lie in the call's
	// Payload or in its Into.
	HostCall(ctx context.Context, call HostCall) ([]byte, error)

	// ConsoleLog takes a line that the guest wrote. It should not block. The
	// line is valid UTF-8 of at most MaxLogLine bytes, without what made it
	// longer.
	ConsoleLog(ctx context.Context, line string)
}

// HostCall is one call of a guest to its host.
type HostCall struct {
	// Binding is the binding that the guest named, DefaultBinding where it named
	// none or its form of the call has none.
	Binding string
	// Namespace is what the guest named. In the oldest form of the call there is
	// none: it is empty, and the operation carries a prefix.
	Namespace string
	// Operation is the operation as the guest spelled it.
	Operation string
	// Payload is the callee's until it returns: what it keeps, it copies.
	Payload []byte
	// Into is empty and may have room, for the callee to append its answer to.
	// It is the callee's until it returns.
	Into []byte
}

// DefaultBinding is the binding of a host call that names none.
const DefaultBinding = "default"

// MaxLogLine is the length in bytes to which a line of a guest is cut.
const MaxLogLine = 16 << 10
