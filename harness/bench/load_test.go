//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a number of connections that send the same request again and again,
// each as soon as the one before is answered. It costs less than a client of
// net/http, so that more of the machine is left for the server.
type load struct {
	address string
	request []byte
	conns   int
}

// newLoad makes a load for a server.
func newLoad(b testing.TB, server string, conns int, method, path string, body []byte) *load {
	b.Helper()
	u, err := url.Parse(server)
	if err != nil {
		b.Fatal(err)
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: waxo-bench\r\n", method, path, u.Host)
	if body != nil {
		fmt.Fprintf(&request, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(&request, "\r\n%s", body)
	return &load{address: u.Host, request: request.Bytes(), conns: conns}
}

// run sends for a while and returns how long each answer took. An answer other
// than 200 fails the benchmark.
func (l *load) run(b testing.TB, d time.Duration) []time.Duration {
	b.Helper()
	var stop atomic.Bool
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	took := make([][]time.Duration, l.conns)
	errs := make([]error, l.conns)
	var wg sync.WaitGroup
	for i := range l.conns {
		wg.Go(func() { took[i], errs[i] = l.one(&stop) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	return slices.Concat(took...)
}

// one sends on one connection.
func (l *load) one(stop *atomic.Bool) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", l.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for !stop.Load() {
		begun := time.Now()
		if _, err := conn.Write(l.request); err != nil {
			return nil, err
		}
		if err := readAnswer(r); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// readAnswer reads a response that states its length.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil {
		return fmt.Errorf("the length of an answer: %w", err)
	}
	var body io.Writer = io.Discard
	failed := !strings.HasPrefix(status, "HTTP/1.1 200 ")
	var text strings.Builder
	if failed {
		body = &text
	}
	if _, err := io.CopyN(body, r, int64(size)); err != nil {
		return err
	}
	if failed {
		return fmt.Errorf("%s%s", status, &text)
	}
	return nil
}

// percentile is what so many in a hundred did not exceed. It sorts.
func percentile(took []time.Duration, hundredths float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(int(float64(len(took))*hundredths/100), len(took)-1)]
}

func median(values []float64) float64 {
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
