package seal_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

// model is the world that the package's documentation promises to a sealed
// guest, as a host would provide it.
type model struct {
	mem    api.Memory // of the guest that calls
	tell   func(line []byte)
	clock  int64
	random uint64
	line   []byte
	writer uint32 // the descriptor that wrote the line
}

func (m *model) reset() {
	*m = model{tell: m.tell, clock: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
}

var errOutOfBounds = errors.New("out of bounds memory access")

func (m *model) read(at uint64, n uint32) []byte {
	if at > math.MaxUint32 {
		panic(errOutOfBounds)
	}
	view, ok := m.mem.Read(uint32(at), n)
	if !ok {
		panic(errOutOfBounds)
	}
	return view
}

func (m *model) u32(at uint64) uint32 { return binary.LittleEndian.Uint32(m.read(at, 4)) }
func (m *model) u64(at uint64) uint64 { return binary.LittleEndian.Uint64(m.read(at, 8)) }

func (m *model) put32(at uint64, v uint32) { binary.LittleEndian.PutUint32(m.read(at, 4), v) }
func (m *model) put64(at uint64, v uint64) { binary.LittleEndian.PutUint64(m.read(at, 8), v) }

// The error numbers of preview 1.
const (
	success = 0
	badf    = 8
	inval   = 28
	nosys   = 52
	notsock = 57
	spipe   = 70
)

// call does what a function of preview 1 does in a sealed guest.
func (m *model) call(name string, a []uint64) uint32 {
	switch name {
	case "sched_yield", "args_get", "environ_get":
		return success
	case "args_sizes_get", "environ_sizes_get":
		m.put32(a[0], 0)
		m.put32(a[1], 0)
		return success
	case "proc_raise":
		return nosys
	case "proc_exit":
		m.exit(uint32(a[0]))
	case "random_get":
		m.fill(a[0], a[1])
		return success
	case "clock_res_get", "clock_time_get":
		return m.time(name, a)
	case "poll_oneoff":
		return m.poll(a[0], a[1], uint32(a[2]), a[3])
	}
	if strings.HasPrefix(name, "path_") || strings.HasPrefix(name, "fd_prestat") {
		return badf
	}
	return m.descriptor(name, a)
}

// descriptor does what is asked of a descriptor: 0 to 2 are there.
func (m *model) descriptor(name string, a []uint64) uint32 {
	fd := uint32(a[0])
	reads, writes := fd == 0, fd == 1 || fd == 2
	switch {
	case name == "fd_read" && reads:
		m.put32(a[3], 0) // at its end
		return success
	case name == "fd_write" && writes:
		m.write(fd, a[1], uint32(a[2]), a[3])
		return success
	case name == "fd_read", name == "fd_write", !reads && !writes:
		return badf
	}
	switch name {
	case "fd_close", "fd_sync", "fd_datasync":
		return success
	case "fd_seek", "fd_tell", "fd_pread", "fd_pwrite":
		return spipe
	case "sock_accept", "sock_recv", "sock_send", "sock_shutdown":
		return notsock
	case "fd_fdstat_get":
		rights := uint64(1 << 6)
		if reads {
			rights = 1 << 1
		}
		for i, v := range []uint64{2, rights, 0} {
			m.put64(a[1]+uint64(8*i), v)
		}
		return success
	case "fd_filestat_get":
		for i, v := range []uint64{0, 0, 2, 0, 0, 0, 0, 0} {
			m.put64(a[1]+uint64(8*i), v)
		}
		return success
	}
	return nosys
}

// fill is splitmix64, eight bytes a number.
func (m *model) fill(at, n uint64) {
	for n > 0 {
		m.random += 0x9e3779b97f4a7c15
		z := m.random
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		if n >= 8 {
			m.put64(at, z)
			at, n = at+8, n-8
			continue
		}
		for ; n > 0; n-- {
			m.read(at, 1)[0] = byte(z)
			z >>= 8
			at++
		}
	}
}

const clocks = 4

func (m *model) time(name string, a []uint64) uint32 {
	if a[0] >= clocks {
		return inval
	}
	if name == "clock_res_get" {
		m.put64(a[1], 1000)
		return success
	}
	m.put64(a[2], uint64(m.clock))
	m.clock = after(m.clock, 1000)
	return success
}

// after adds to a time; nothing is after the clock's end.
func after(t int64, d uint64) int64 {
	if d > uint64(math.MaxInt64-t) {
		return math.MaxInt64
	}
	return t + int64(d)
}

// poll lets the time pass to the earliest deadline, and reports what is due.
func (m *model) poll(in, out uint64, n uint32, nevents uint64) uint32 {
	if n == 0 {
		return inval
	}
	now, wake := m.clock, int64(math.MaxInt64)
	each := func(do func(sub uint64, due int64)) bool {
		for i := range uint64(n) {
			sub := in + 48*i
			if m.read(sub+8, 1)[0] > 2 {
				return false
			}
			do(sub, m.due(sub, now))
		}
		return true
	}
	if !each(func(_ uint64, due int64) { wake = min(wake, due) }) {
		return inval
	}
	m.clock = max(now, wake)
	count := uint32(0)
	each(func(sub uint64, due int64) {
		if due <= m.clock {
			m.event(sub, out+32*uint64(count))
			count++
		}
	})
	m.put32(nevents, count)
	return success
}

// due tells when a subscription is: at once, unless it is to a clock.
func (m *model) due(sub uint64, now int64) int64 {
	tag := m.read(sub+8, 1)[0]
	if clock := m.u32(sub + 16); tag != 0 || clock >= clocks {
		return now
	}
	timeout := m.u64(sub + 24)
	if absolute := binary.LittleEndian.Uint16(m.read(sub+40, 2))&1 != 0; absolute {
		return after(0, timeout)
	}
	return after(now, timeout)
}

func (m *model) event(sub, out uint64) {
	userdata, tag := m.u64(sub), uint32(m.read(sub+8, 1)[0])
	errno, of := uint32(success), m.u32(sub+16)
	switch {
	case tag == 0 && of >= clocks:
		errno = inval
	case tag == 1 && of != 0, tag == 2 && of != 1 && of != 2:
		errno = badf
	}
	m.put64(out, userdata)
	m.put64(out+8, uint64(errno|tag<<16))
	m.put64(out+16, 0)
	m.put64(out+24, 0)
}

// write puts text together to lines.
func (m *model) write(fd uint32, iovs uint64, n uint32, nwritten uint64) {
	total := uint32(0)
	for i := range uint64(n) {
		at, length := m.u32(iovs+8*i), m.u32(iovs+8*i+4)
		m.text(fd, at, length)
		total += length
	}
	m.put32(nwritten, total)
}

func (m *model) text(fd, at, n uint32) {
	if n > 0 && m.writer != fd {
		m.flush()
		m.writer = fd
	}
	for end := uint64(at) + uint64(n); uint64(at) < end; {
		if len(m.line) == 0 { // a line that is there as a whole goes as it is
			length := uint32(0)
			for uint64(at)+uint64(length) < end && m.read(uint64(at+length), 1)[0] != '\n' {
				length++
			}
			if uint64(at)+uint64(length) < end {
				m.tell(m.read(uint64(at), length))
				at += length + 1
				continue
			}
		}
		m.char(m.read(uint64(at), 1)[0])
		at++
	}
}

// char adds to the line, which has 1,024 bytes at most and no half characters.
func (m *model) char(c byte) {
	if c == '\n' {
		m.flush()
		return
	}
	size := 1
	for _, longer := range []byte{0xc0, 0xe0, 0xf0} {
		if c >= longer {
			size++
		}
	}
	if len(m.line)+size > 1024 {
		m.flush()
	}
	m.line = append(m.line, c)
}

func (m *model) flush() {
	if len(m.line) > 0 {
		m.tell(m.line)
		m.line = nil
	}
}

func (m *model) exit(status uint32) {
	m.flush()
	if status != 0 {
		m.tell(fmt.Appendf(nil, "exit status %d", status))
	}
	panic(errors.New("unreachable"))
}

// provideProtocol provides the functions of the protocol that generated guests
// import.
func provideProtocol(t testing.TB, e *wasmtest.Engine) {
	t.Helper()
	funcs := map[string]wasmtest.HostFunc{}
	for _, f := range wasmgen.ProtocolFuncs {
		funcs[f.Name] = wasmtest.HostFunc{Type: f.Type, Call: func(m api.Module, stack []uint64) {
			if len(f.Type.Params) == 0 {
				stack[0] = 17
				return
			}
			text, ok := m.Memory().Read(uint32(stack[0]), uint32(stack[1]))
			if !ok {
				panic(errors.New("the guest handed over what is not in its memory"))
			}
			e.Tell("%s %q", f.Name, text)
		}}
	}
	e.Provide(t, wasmgen.ProtocolModule, funcs)
}

// modelled returns an engine with the model of the sealed world.
func modelled(t testing.TB, opts *wasmtest.EngineOptions) *wasmtest.Engine {
	t.Helper()
	m := &model{}
	opts.Reset = m.reset
	e := wasmtest.NewEngine(t, opts)
	m.tell = func(line []byte) { e.Tell("__console_log %q", line) }
	provideProtocol(t, e)
	funcs := map[string]wasmtest.HostFunc{}
	for name, typ := range wasmgen.Preview1Funcs() {
		funcs[name] = wasmtest.HostFunc{Type: typ, Call: func(caller api.Module, stack []uint64) {
			m.mem = caller.Memory()
			errno := m.call(name, stack)
			if len(typ.Results) > 0 {
				stack[0] = uint64(errno)
			}
		}}
	}
	e.Provide(t, wasmgen.Preview1Module, funcs)
	return e
}
