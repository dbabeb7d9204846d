//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs are what the benchmarks run, built once.
type programs struct {
	waxo, host, native string
	goGuest            string // a signed module of folder guest
	smallGuest         string // one that was written by hand
	project            string // of goGuest
}

var (
	built     programs
	buildOnce sync.Once
	buildErr  error
	scratch   string
)

// TestMain keeps what is built until the last benchmark.
func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "waxo-bench-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// build builds everything, and fails the benchmark if that does not work.
func build(b testing.TB) programs {
	b.Helper()
	buildOnce.Do(func() { buildErr = built.build(scratch) })
	if buildErr != nil {
		b.Fatal(buildErr)
	}
	return built
}

func (p *programs) build(dir string) error {
	p.waxo, p.host, p.native = filepath.Join(dir, "waxo"), filepath.Join(dir, "waxo-host"), filepath.Join(dir, "native")
	p.project = filepath.Join(dir, "guest")
	p.goGuest, p.smallGuest = filepath.Join(dir, "go.wasm"), filepath.Join(dir, "small.wasm")
	module := "github.com/waxosuit/waxo"
	source, err := os.ReadFile(filepath.Join("guest", "main.go"))
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return command("", "go", "build", "-trimpath", "-o", p.waxo, module+"/cmd/waxo") },
		func() error { return command("", "go", "build", "-trimpath", "-o", p.host, module+"/cmd/waxo-host") },
		func() error {
			return command("", "go", "build", "-trimpath", "-o", p.native, module+"/harness/bench/native")
		},
		func() error { return command(dir, p.waxo, "new", "guest") },
		func() error { return os.WriteFile(filepath.Join(p.project, "main.go"), source, 0o644) },
		func() error { return command(p.project, p.waxo, "build", "-o", p.goGuest) },
		func() error { return writeSmallGuest(p.smallGuest) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}

// environment is that of every process: compiled code goes to a cache of the
// benchmarks' own.
func environment(more ...string) []string {
	return append(os.Environ(), append([]string{
		"GOFLAGS=", "GOPROXY=off", "PORT=", "REDIS_URL=", "WAXO_KEYVALUE_URL=",
		"XDG_CACHE_HOME=" + filepath.Join(scratch, "cache"),
		"GOCACHE=" + goEnv("GOCACHE"),
	}, more...)...)
}

var goEnv = func() func(string) string {
	var mu sync.Mutex
	known := map[string]string{}
	return func(name string) string {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := known[name]; !ok {
			out, _ := exec.Command("go", "env", name).Output()
			known[name] = strings.TrimSpace(string(out))
		}
		return known[name]
	}
}()

// process is a server that runs beside the benchmark.
type process struct {
	cmd    *exec.Cmd
	url    string
	ended  chan struct{}
	mu     sync.Mutex
	output bytes.Buffer
}

var announced = regexp.MustCompile(`url="?(http://[^\s"]+)`)

// start starts a server and waits for the address that it prints.
func start(b testing.TB, name string, args ...string) *process {
	b.Helper()
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = environment("GODEBUG=gctrace=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	lines, err := p.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.stop)
	found := make(chan string, 1)
	go p.read(lines, found)
	select {
	case p.url = <-found:
	case <-p.ended:
		b.Fatalf("%s ended:\n%s", filepath.Base(name), p.text())
	case <-time.After(time.Minute):
		b.Fatalf("%s serves nothing:\n%s", filepath.Base(name), p.text())
	}
	return p
}

// run starts waxo run and waits until compiled code runs the guest.
func run(b testing.TB, p programs, module string, args ...string) *process {
	b.Helper()
	guest := start(b, p.waxo, append([]string{"run", "--allow-dev", "--timings", "--port", "0", module}, args...)...)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		if compiled.MatchString(guest.text()) {
			return guest
		}
		<-tick.C
	}
	b.Fatalf("the guest stays interpreted:\n%s", guest.text())
	return nil
}

var compiled = regexp.MustCompile(`tier=compiled|compiled code runs the guest`)

// read collects what the process prints until it ends.
func (p *process) read(lines io.Reader, url chan<- string) {
	defer close(p.ended)
	s := bufio.NewScanner(lines)
	for s.Scan() {
		p.mu.Lock()
		fmt.Fprintln(&p.output, s.Text())
		p.mu.Unlock()
		if m := announced.FindStringSubmatch(s.Text()); m != nil {
			select {
			case url <- m[1]:
			default:
			}
		}
	}
	p.cmd.Wait() //nolint:errcheck // it is killed in the end
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// stop has the process end in its own way, which finishes what it writes to a
// cache.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-p.ended
	}
}

// cpu is the time that the process has had so far, to 10 ms.
func (p *process) cpu(b testing.TB) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	// After the name, which may hold spaces: the fields from the third on.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc says %q", text)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what the process has of the machine's memory now and what it had at
// most, in MB.
func (p *process) memory(b testing.TB) (now, most float64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib / 1000 * 1.024
		case "VmHWM:":
			most = kib / 1000 * 1.024
		}
	}
	return now, most
}

// answers tells whether a GET of the URL is answered with status 200.
func answers(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == 200
}
