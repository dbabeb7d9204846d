package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/waxosuit/waxo/capability"
)

const (
	// searchTime bounds the search for the process that holds a port.
	searchTime = 2 * time.Second

	// maxCommand bounds a command line in a message, in characters.
	maxCommand = 200
)

// AddressInUseError says that somebody else listens on an address. As an
// *Error it has CodeConflict; it is also what the system reported.
type AddressInUseError struct {
	Address string
	Holders []Process // who listens there; empty where that could not be found
	Err     error     // the system's
}

// Process is a running program.
type Process struct {
	PID     int
	Command string // its command line; empty where that is unknown
}

// Error leads with the code, as an *Error does.
func (e *AddressInUseError) Error() string { return e.conflict().Error() }

// Unwrap makes the error an *Error and the system's error.
func (e *AddressInUseError) Unwrap() []error { return []error{e.conflict(), e.Err} }

func (e *AddressInUseError) conflict() *capability.Error {
	names := make([]string, len(e.Holders))
	for i, p := range e.Holders {
		names[i] = p.String()
	}
	holder := strings.Join(names, " and ")
	if holder == "" {
		holder = "a process that could not be found (another user's, perhaps, or one in another container)"
	}
	return &capability.Error{
		Code:    capability.CodeConflict,
		Message: fmt.Sprintf("%s is held by %s: end it or choose another port", e.Address, holder),
	}
}

// String names the process for a person.
func (p Process) String() string {
	s := fmt.Sprintf("process %d", p.PID)
	if p.PID == os.Getpid() {
		s = fmt.Sprintf("this very process (%d)", p.PID)
	}
	if p.Command != "" {
		s += " (" + p.Command + ")"
	}
	return s
}

// holders finds the processes that listen where address would. It returns nil
// where it cannot tell.
func holders(ctx context.Context, address string) []Process {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil
	}
	if found := procHolders(ctx, "/proc", tcp.AddrPort()); len(found) > 0 {
		return found
	}
	return lsofHolders(ctx, tcp.Port, "lsof")
}

// procHolders asks the proc file system of Linux: which sockets listen there,
// and which processes have them open.
func procHolders(ctx context.Context, proc string, address netip.AddrPort) []Process {
	sockets := make(map[string]bool)
	for _, table := range []string{"tcp", "tcp6"} {
		if f, err := os.Open(filepath.Join(proc, "net", table)); err == nil {
			listeningSockets(f, address, sockets)
			_ = f.Close() // only read
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || ctx.Err() != nil {
			continue
		}
		dir := filepath.Join(proc, entry.Name())
		if hasOpen(filepath.Join(dir, "fd"), sockets) {
			found = append(found, Process{PID: pid, Command: commandLine(dir)})
		}
	}
	return found
}

// listeningSockets adds to sockets those of a table such as /proc/net/tcp that
// keep others from address. The format is that of proc(5).
func listeningSockets(table io.Reader, address netip.AddrPort, sockets map[string]bool) {
	const localAddress, state, inode, listen = 1, 3, 9, "0A"
	for lines := bufio.NewScanner(table); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != listen {
			continue
		}
		local, ok := parseProcAddress(fields[localAddress])
		if ok && overlap(local, address) {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}

// parseProcAddress reads "0100007F:1F90": the address as 32-bit words in the
// machine's byte order, the port in plain hex.
func parseProcAddress(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i+4 <= len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip, uint16(n)), ok && err == nil
}

// overlap tells whether two sockets cannot both listen.
func overlap(a, b netip.AddrPort) bool {
	x, y := a.Addr().Unmap(), b.Addr().Unmap()
	wildcard := func(ip netip.Addr) bool { return !ip.IsValid() || ip.IsUnspecified() }
	return a.Port() == b.Port() && (wildcard(x) || wildcard(y) || x == y)
}

// hasOpen tells whether a process has one of the sockets open. The files of
// other users' processes cannot be read.
func hasOpen(fds string, sockets map[string]bool) bool {
	entries, err := os.ReadDir(fds)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(fds, entry.Name()))
		if err == nil && sockets[target] {
			return true
		}
	}
	return false
}

func commandLine(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || len(b) == 0 {
		b, _ = os.ReadFile(filepath.Join(dir, "comm")) // without either, the pid must do
	}
	return printable(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
}

// printable makes a command line safe to show on a terminal.
func printable(s string) string {
	runes := []rune(strings.TrimSpace(s))
	if len(runes) > maxCommand {
		runes = append(runes[:maxCommand], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '?'
		}
	}
	return string(runes)
}

// lsofHolders asks lsof, which macOS and many others have. The command is a
// parameter for the sake of tests.
func lsofHolders(ctx context.Context, port int, command ...string) []Process {
	args := append(command[1:], "-nP", "-iTCP:"+strconv.Itoa(port), "-sTCP:LISTEN", "-Fpc")
	out, err := exec.CommandContext(ctx, command[0], args...).Output()
	if err != nil {
		return nil
	}
	var found []Process
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "p"):
			if pid, err := strconv.Atoi(line[1:]); err == nil {
				found = append(found, Process{PID: pid})
			}
		case strings.HasPrefix(line, "c") && len(found) > 0:
			found[len(found)-1].Command = printable(line[1:])
		}
	}
	return found
}
