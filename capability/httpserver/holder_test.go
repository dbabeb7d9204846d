package httpserver

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/waxosuit/waxo/capability"
)

// holder starts a process that holds a port until the test ends.
func holder(t *testing.T) (address string, pid int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "an argument")
	cmd.Env = append(os.Environ(), holdPort+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // its sign to end
		if err := cmd.Wait(); err != nil {
			t.Errorf("the holder of the port: %v", err)
		}
	})
	address, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address), cmd.Process.Pid
}

func TestBindTakenPort(t *testing.T) {
	t.Parallel()
	address, pid := holder(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "", "localhost"} {
		p := New(nil)
		taken := net.JoinHostPort(host, port)
		err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID, Config: map[string]string{"address": taken}}, never(t))
		var inUse *AddressInUseError
		if !errors.As(err, &inUse) || !errors.Is(err, &capability.Error{Code: capability.CodeConflict}) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("%q: %v", taken, err)
		}
		if got := capability.AsError(err); got.Error() != err.Error() || got.Code != capability.CodeConflict {
			t.Errorf("%q: as an *Error it is %v", taken, got)
		}
		if p.Addr(bindingID) != nil {
			t.Errorf("%q: listens on %v", taken, p.Addr(bindingID))
		}
		if runtime.GOOS != "linux" {
			t.Logf("on %s it depends on lsof who is named: %v", runtime.GOOS, err)
			continue
		}
		if len(inUse.Holders) != 1 || inUse.Holders[0].PID != pid || !strings.HasSuffix(inUse.Holders[0].Command, " an argument") {
			t.Errorf("%q: held by %v, want process %d", taken, inUse.Holders, pid)
		}
		if want := fmt.Sprintf("process %d (", pid); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), taken) {
			t.Errorf("%q: %v does not name %q", taken, err, want)
		}
	}
}

func TestTryAddress(t *testing.T) {
	t.Parallel()
	address, pid := holder(t)
	if err := TryAddress(t.Context(), address); !errors.As(err, new(*AddressInUseError)) || runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprint("process ", pid)) {
		t.Errorf("of a taken port: %v", err)
	}
	for range 2 { // it is not kept
		if err := TryAddress(t.Context(), "127.0.0.1:0"); err != nil {
			t.Error(err)
		}
	}
	if err := TryAddress(t.Context(), "192.0.2.1:8080"); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("of another machine's address: %v", err)
	}
}

func TestBindPortOfOurOwn(t *testing.T) {
	t.Parallel()
	s := open(t, never(t), Options{}, false)
	err := New(nil).Bind(t.Context(), capability.Binding{BindingID: bindingID, Config: map[string]string{"address": s.addr}}, never(t))
	if !errors.Is(err, &capability.Error{Code: capability.CodeConflict}) {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("this very process (%d)", os.Getpid())) {
		t.Errorf("%v", err)
	}
}

func TestHolderUnknown(t *testing.T) {
	t.Parallel()
	err := &AddressInUseError{Address: "127.0.0.1:1", Err: syscall.EADDRINUSE}
	if !strings.Contains(err.Error(), "could not be found") {
		t.Errorf("%v", err)
	}
	two := &AddressInUseError{Address: "127.0.0.1:1", Holders: []Process{{PID: 1 << 30, Command: "a b"}, {PID: 1<<30 + 1}}}
	if want := "process 1073741824 (a b) and process 1073741825:"; !strings.Contains(two.Error(), want) {
		t.Errorf("%v", two)
	}
}

func TestListeningSockets(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the tables below are those of a little-endian machine")
	}
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, state, inode string) string {
		return "   0: " + local + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000  1000        0 " + inode + " 1 0 100 0 0 10 0\n"
	}
	table := head +
		line("0100007F:1F90", "0A", "1") + // 127.0.0.1:8080
		line("0100007F:1F90", "01", "2") + // a connection
		line("0200007F:1F90", "0A", "3") + // 127.0.0.2:8080
		line("00000000:1F90", "0A", "4") + // 0.0.0.0:8080
		line("0100007F:1F91", "0A", "5") + // 127.0.0.1:8081
		line("00000000000000000000000000000000:1F90", "0A", "6") + // [::]:8080
		line("00000000000000000000000001000000:1F90", "0A", "7") + // [::1]:8080
		line("0000000000000000FFFF00000100007F:1F90", "0A", "8") + // [::ffff:127.0.0.1]:8080
		line("0100007F", "0A", "9") + line("zz:1F90", "0A", "10") + line("01:1F90", "0A", "11") + line("0100007F:11F90", "0A", "12") +
		"short\n\n"
	for address, want := range map[string]string{
		"127.0.0.1:8080":          "1 4 6 8",
		"[::ffff:127.0.0.1]:8080": "1 4 6 8",
		"[::1]:8080":              "4 6 7",
		"0.0.0.0:8080":            "1 3 4 6 7 8",
		"127.0.0.1:8081":          "5",
		"127.0.0.1:80":            "",
	} {
		sockets := make(map[string]bool)
		listeningSockets(strings.NewReader(table), netip.MustParseAddrPort(address), sockets)
		wanted := make(map[string]bool)
		for inode := range strings.FieldsSeq(want) {
			wanted["socket:["+inode+"]"] = true
		}
		if !reflect.DeepEqual(sockets, wanted) {
			t.Errorf("%s: %v, want %v", address, sockets, wanted)
		}
	}
}

// A machine without the tables, or whose processes do not let us look, gives
// no holder and no error.
func TestProcHoldersNotFound(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddrPort("127.0.0.1:8080")
	if got := procHolders(t.Context(), t.TempDir(), address); got != nil {
		t.Errorf("got %v", got)
	}
	proc := t.TempDir()
	for _, dir := range []string{"net", "12", "sys"} {
		if err := os.Mkdir(filepath.Join(proc, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	table := "head\n0: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 0 0 77\n"
	if err := os.WriteFile(filepath.Join(proc, "net", "tcp"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := procHolders(t.Context(), proc, address); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestLsofHolders(t *testing.T) {
	t.Parallel()
	if got := lsofHolders(t.Context(), 8080, filepath.Join(t.TempDir(), "lsof")); got != nil {
		t.Errorf("without lsof: %v", got)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the rest needs a POSIX shell, which Windows does not have")
	}
	want := []Process{{123, "nginx: ?[31mmaster"}, {124, "nginx"}}
	if got := lsofHolders(t.Context(), 8080, "sh", "testdata/lsof.sh"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := lsofHolders(t.Context(), 8081, "sh", "testdata/lsof.sh"); got != nil {
		t.Errorf("from a failure: %v", got)
	}
}

func TestCommandLinesAreSafeToShow(t *testing.T) {
	t.Parallel()
	if got := printable(" a\x1b[31m\nb é\u202e "); got != "a?[31m?b é?" {
		t.Errorf("got %q", got)
	}
	if got := []rune(printable(strings.Repeat("é", 1000))); len(got) != maxCommand+1 {
		t.Errorf("%d characters", len(got))
	}
}
