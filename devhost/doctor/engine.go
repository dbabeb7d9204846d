package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// engineTimeout is how long an engine may take to tell its version.
const engineTimeout = 3 * time.Second

// findEngine asks the container engine that DOCKER_HOST names, or the first of those
// where waxo-containers looks, for its version. Where there is none, fix is what mends
// that.
func findEngine(ctx context.Context, lookup func(string) (string, bool)) (version, fix string, err error) {
	if host, set := lookup("DOCKER_HOST"); set && host != "" {
		switch version, err = engineVersion(ctx, host); {
		case err == nil:
			return version, "", nil
		case errors.Is(err, os.ErrPermission):
			return "", mayNot, fmt.Errorf("the container engine of DOCKER_HOST may not be used: %w", err)
		}
		return "", "start it, or correct or unset DOCKER_HOST, such as unix:///var/run/docker.sock or tcp://127.0.0.1:2375", fmt.Errorf("no container engine answers at DOCKER_HOST: %w", err)
	}
	var failed []error
	for _, socket := range sockets(lookup) {
		version, err := engineVersion(ctx, "unix://"+socket)
		if err == nil {
			return version, "", nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	if podman := podmanSocket(lookup); podman != "" {
		if version, err := engineVersion(ctx, "unix://"+podman); err == nil {
			return "", "export DOCKER_HOST=unix://" + podman, fmt.Errorf("%s, which is looked for nowhere but at DOCKER_HOST", version)
		}
	}
	switch err := errors.Join(failed...); {
	case err == nil:
		return "", installEngine(), errors.New("there is no container engine")
	case errors.Is(err, os.ErrPermission):
		return "", mayNot, fmt.Errorf("the container engine may not be used: %w", err)
	default:
		return "", "systemctl start docker, or start Docker Desktop", fmt.Errorf("the container engine does not answer: %w", err)
	}
}

const mayNot = "usermod -aG docker YOUR-NAME, as root, and log in anew"

// sockets are where testcontainers-go looks: for the engine of one user, and then for
// that of the machine.
func sockets(lookup func(string) (string, bool)) []string {
	var all []string
	if run, ok := lookup("XDG_RUNTIME_DIR"); ok && run != "" {
		all = append(all, filepath.Join(run, "docker.sock"))
	}
	if home, ok := lookup("HOME"); ok && home != "" {
		all = append(all, filepath.Join(home, ".docker", "run", "docker.sock"), filepath.Join(home, ".docker", "desktop", "docker.sock"))
	}
	return append(all, fmt.Sprintf("/run/user/%d/docker.sock", os.Getuid()), "/var/run/docker.sock")
}

// podmanSocket is where Podman listens for one user, "" where that is not known.
func podmanSocket(lookup func(string) (string, bool)) string {
	if run, ok := lookup("XDG_RUNTIME_DIR"); ok && run != "" {
		return filepath.Join(run, "podman", "podman.sock")
	}
	return ""
}

// engineVersion asks an engine, at unix:///path or tcp://host:port. What it is asked
// with may hold a password, and stands in no error.
func engineVersion(ctx context.Context, host string) (string, error) {
	u, err := url.Parse(host)
	if err != nil {
		return "", errors.New("that is no address")
	}
	network, address := "tcp", u.Host
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		network, address = "unix", u.Path
	case (u.Scheme == "tcp" || u.Scheme == "http") && u.Port() != "":
	default:
		return "", errors.New("it is neither unix:///path nor tcp://host:port, and others cannot be asked from here")
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/version", nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err // the address of the request is made up
	}
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("%s: no answer within %v", address, engineTimeout)
	}
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var v struct {
		Platform struct{ Name string }
		Version  string
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&v); err != nil || v.Version == "" {
		return "", fmt.Errorf("%s: what answers is no container engine, or one that wants TLS (%s)", address, response.Status)
	}
	name := strings.TrimSpace(v.Platform.Name)
	if name == "" {
		name = "engine"
	}
	return fmt.Sprintf("%s %s at %s", name, v.Version, address), nil
}

// installEngine is how an engine comes onto this machine.
func installEngine() string {
	return pick("see https://docs.docker.com/engine/install", map[string]string{
		"apt-get": "apt-get install docker.io", "dnf": "dnf install moby-engine && systemctl start docker",
		"pacman": "pacman -S docker && systemctl start docker", "brew": "brew install --cask docker",
	})
}

// pick returns the command for the first package manager that is here, where none of
// the programs in unless is; otherwise what serves everywhere.
func pick(everywhere string, commands map[string]string, unless ...string) string {
	for _, program := range unless {
		if _, err := exec.LookPath(program); err == nil {
			return everywhere
		}
	}
	for _, manager := range []string{"apt-get", "dnf", "pacman", "brew"} {
		if command := commands[manager]; command != "" {
			if _, err := exec.LookPath(manager); err == nil {
				return command
			}
		}
	}
	return everywhere
}

// rustTime is how long rustc may take to answer.
const rustTime = 10 * time.Second

// wasmTarget is what guests in Rust are compiled for.
const wasmTarget = "wasm32-unknown-unknown"

// rustTarget tells whether rustc has a standard library for guests, as the project's
// folder chooses it. Where that cannot be found out, it is taken to be there.
func rustTarget(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, rustTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "rustc", "--print", "sysroot")
	cmd.Dir = dir
	root, err := cmd.Output()
	if err != nil {
		return true
	}
	_, err = os.Stat(filepath.Join(strings.TrimSpace(string(root)), "lib", "rustlib", wasmTarget, "lib"))
	return !errors.Is(err, os.ErrNotExist)
}
