//go:build linux

package bench

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkColdStart measures the time from exec to the first 200. waxo run has a
// store of its own for the Go guest; waxo-host goes to one that runs already.
func BenchmarkColdStart(b *testing.B) {
	p := build(b)
	store := "wascap:keyvalue=" + newStore(b, 0)
	for _, c := range []struct {
		name, module string
		program      []string
		cold         bool // with an empty cache
	}{
		{"go-warm", p.goGuest, []string{p.waxo, "run"}, false},
		{"small-warm", p.smallGuest, []string{p.waxo, "run"}, false},
		{"go-warm-host", p.goGuest, []string{p.host, "--bind", store}, false},
		{"small-warm-host", p.smallGuest, []string{p.host}, false},
		{"go-cold", p.goGuest, []string{p.waxo, "run"}, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			guest := func() time.Duration {
				cache := filepath.Join(scratch, "cold")
				if c.cold {
					cache = b.TempDir()
				}
				args := append(slices.Clone(c.program[1:]), "--allow-dev", "--cache", cache, "--port", "PORT", c.module)
				return firstAnswer(b, c.program[0], args...)
			}
			native := func() time.Duration { return firstAnswer(b, p.native, "-addr", "127.0.0.1:PORT") }
			if !c.cold {
				run(b, p, c.module, "--cache", filepath.Join(scratch, "cold")).stop()
			}
			native()
			var guests, natives []float64
			for b.Loop() {
				for range starts {
					natives = append(natives, millis(native()))
					guests = append(guests, millis(guest()))
				}
			}
			b.ReportMetric(median(guests), "ms-to-200")
			b.ReportMetric(median(natives), "native-ms-to-200")
			b.ReportMetric(median(guests)/median(natives), "x-native")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// starts is how often each server is started in one iteration: single starts differ by
// a third.
const starts = 5

// firstAnswer starts a server at a free port, which stands for PORT in its
// arguments, and tells how long it took to answer. The server has ended when it
// returns.
func firstAnswer(b *testing.B, name string, args ...string) time.Duration {
	b.Helper()
	port := freePort(b)
	cmd := exec.Command(name)
	for _, a := range args {
		cmd.Args = append(cmd.Args, replacePort(a, port))
	}
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	url := "http://127.0.0.1:" + strconv.Itoa(port) + "/"
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for !answers(ctx, client, url) {
		if ctx.Err() != nil {
			b.Fatalf("%s does not answer", filepath.Base(name))
		}
		<-tick.C
	}
	took := time.Since(begun)
	cmd.Process.Kill() //nolint:errcheck // it runs
	cmd.Wait()         //nolint:errcheck // it was killed
	return took
}

func replacePort(arg string, port int) string {
	switch arg {
	case "PORT":
		return strconv.Itoa(port)
	case "127.0.0.1:PORT":
		return "127.0.0.1:" + strconv.Itoa(port)
	}
	return arg
}

func freePort(b testing.TB) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
