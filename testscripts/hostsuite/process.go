package hostsuite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	endpoint, err := newServed(p.ports)
	if err != nil {
		return nil, err
	}
	h := &process{served: endpoint, exited: make(chan struct{})}
	place := strings.NewReplacer(modulePlaceholder, module, portPlaceholder, h.port)
	h.cmd = &exec.Cmd{Path: p.file, Stdout: h.out, Stderr: h.out, WaitDelay: 5 * time.Second}
	for _, arg := range p.command {
		h.cmd.Args = append(h.cmd.Args, place.Replace(arg))
	}
	h.cmd.Env = slices.Concat(p.env, []string{"PORT=" + h.port}, s.environment(), s.env)
	group(h.cmd)
	if err := h.cmd.Start(); err != nil {
		h.release()
		return nil, err
	}
	go h.wait()
	if err := h.await(ctx, h.exited, func() error { return h.err }); err != nil {
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
	*served
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	err    error         // of its end
}

// wait owns the process.
func (h *process) wait() {
	h.err = h.cmd.Wait()
	h.out.end()
	close(h.exited)
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
	h.release()
}
