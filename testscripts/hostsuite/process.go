package hostsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The placeholders in a command.
const (
	modulePlaceholder = "{module}"
	portPlaceholder   = "{port}"
)

// processes is a host that is started as a command.
type processes struct {
	command []string
	env     []string
	file    string // of the program
	ports   *ports
}

// CheckCommand tells what is wrong with a command that shall start a host.
func CheckCommand(command []string) error {
	if len(command) == 0 {
		return errors.New("which host? Write -- COMMAND {module} {port}")
	}
	if !slices.ContainsFunc(command[1:], func(arg string) bool { return strings.Contains(arg, modulePlaceholder) }) {
		return fmt.Errorf("the command does not say where the module goes: write %s in its place", modulePlaceholder)
	}
	return nil
}

func newProcesses(command, env []string) (*processes, error) {
	if err := CheckCommand(command); err != nil {
		return nil, err
	}
	file, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	p := &processes{command: command, file: file, ports: newPorts()}
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !ours(name) {
			p.env = append(p.env, v)
		}
	}
	return p, nil
}

// ours tells whether a variable of the environment is one that scripts set, so
// that one of the user's would spoil them.
func ours(name string) bool {
	switch name {
	case "PORT", "REDIS_URL", "NATS_URL", "NATS_SUBSCRIPTION", "NATS_QUEUEGROUP_NAME":
		return true
	}
	return strings.HasPrefix(name, "WAXO_LIMITS_") || strings.HasPrefix(name, "WAXO_") && strings.HasSuffix(name, "_URL")
}

func (p *processes) name() string { return strings.Join(p.command, " ") }

func (p *processes) lacks(need string) string {
	switch need {
	case needLibrary:
		return "the host is a program: its operations cannot be called one by one"
	case needPort:
		if strings.Contains(strings.Join(p.command, " "), portPlaceholder) {
			return "the command says {port} itself: leave that out to have the variable PORT checked"
		}
	}
	return ""
}

// start starts the command. It tries again where somebody else has taken the port
// meanwhile.
func (p *processes) start(ctx context.Context, module string, s *settings) (running, error) {
	module, err := filepath.Abs(module)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		h, err := p.launch(ctx, module, s)
		if refused := (*refusal)(nil); attempt < 4 && errors.As(err, &refused) && strings.Contains(refused.text, "address already in use") {
			continue
		}
		if err != nil {
			return nil, err
		}
		return h, nil
	}
}

func (p *processes) launch(ctx context.Context, module string, s *settings) (*process, error) {
	port := p.ports.next()
	place := strings.NewReplacer(modulePlaceholder, module, portPlaceholder, strconv.Itoa(port))
	h := &process{out: newOutput(), exited: make(chan struct{}), address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	h.cmd = &exec.Cmd{Path: p.file, Stdout: h.out, Stderr: h.out, WaitDelay: 5 * time.Second}
	for _, arg := range p.command {
		h.cmd.Args = append(h.cmd.Args, place.Replace(arg))
	}
	h.cmd.Env = slices.Concat(p.env, []string{"PORT=" + strconv.Itoa(port)}, s.environment(), s.env)
	group(h.cmd)
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	go h.wait()
	h.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if err := h.serving(ctx); err != nil {
		h.kill()
		return nil, err
	}
	return h, nil
}

// environment are the variables for a script's settings, as waxo run reads them.
func (s *settings) environment() []string {
	var env []string
	if s.callTimeout > 0 {
		env = append(env, "WAXO_LIMITS_CALL_TIMEOUT="+s.callTimeout.String())
	}
	if s.memory > 0 {
		env = append(env, fmt.Sprintf("WAXO_LIMITS_MEMORY=%dKiB", s.memory>>10))
	}
	if s.body > 0 {
		env = append(env, fmt.Sprintf("WAXO_LIMITS_REQUEST_BODY=%dKiB", s.body>>10), fmt.Sprintf("WAXO_LIMITS_RESPONSE_BODY=%dKiB", s.body>>10))
	}
	return env
}

// process is a host in a process of its own.
type process struct {
	cmd     *exec.Cmd
	out     *output
	address string
	client  *http.Client
	exited  chan struct{} // closed when it has ended
	err     error         // of its end
}

// wait owns the process.
func (h *process) wait() {
	h.err = h.cmd.Wait()
	h.out.end()
	close(h.exited)
}

// poll is how often a host is asked whether it listens: nothing tells us.
const poll = 2 * time.Millisecond

// serving waits until the host listens, or has ended.
func (h *process) serving(ctx context.Context) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		conn, err := net.DialTimeout("tcp", h.address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-h.exited:
			if h.err == nil {
				return fmt.Errorf("the host ended with the exit status 0 before it served; a module that it refuses must have it fail. It said:\n%s", h.out)
			}
			return &refusal{text: h.out.String()}
		case <-ctx.Done():
			return fmt.Errorf("the host neither listens on %s nor ends. It said:\n%s", h.address, h.out)
		case <-ticker.C:
		}
	}
}

func (h *process) output() *output { return h.out }

func (h *process) do(ctx context.Context, r *request) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, "http://"+h.address, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(r.path, "?")
	req.URL.Opaque, req.URL.RawQuery = "//"+h.address+path, query
	for name, values := range r.header {
		if req.Header[name] = values; name == "Host" {
			req.Host = values[0]
		}
	}
	if r.header.Get("Transfer-Encoding") == "chunked" {
		req.ContentLength = -1
		req.Header.Del("Transfer-Encoding")
	}
	res, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &response{status: res.StatusCode, header: res.Header, body: body}, nil
}

func (h *process) terminate() error { return terminate(h.cmd) }

func (h *process) stop(ctx context.Context) error {
	if err := h.terminate(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	h.client.CloseIdleConnections()
	select {
	case <-h.exited:
		return h.err
	case <-ctx.Done():
		return fmt.Errorf("the host was told to end, and goes on. It said:\n%s", h.out)
	}
}

func (h *process) kill() {
	select {
	case <-h.exited:
	default:
		killGroup(h.cmd)
		<-h.exited
	}
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
}

// ports hands out ports that nobody listens on: below those that systems give to
// connections, and none twice in a row.
type ports struct{ last atomic.Uint32 }

const (
	firstPort = 30000
	manyPorts = 2700
)

func newPorts() *ports {
	p := &ports{}
	p.last.Store(rand.Uint32N(manyPorts))
	return p
}

func (p *ports) next() int {
	for range manyPorts {
		port := firstPort + int(p.last.Add(1)%manyPorts)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			l.Close()
			return port
		}
	}
	return 0 // the host will say that it cannot listen there
}
