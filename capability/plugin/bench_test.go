//go:build unix

package plugin_test

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/emulators/redis"
)

// stopwatch adds up what rounds of calls take.
type stopwatch struct {
	calls int
	took  time.Duration
	rooms [][]byte // of the callers, for answers
}

// round has so many callers make so many calls each.
func (s *stopwatch) round(b *testing.B, callers, each int, call func(into []byte) error) {
	for len(s.rooms) < callers {
		s.rooms = append(s.rooms, make([]byte, 0, 256<<10))
	}
	begun := time.Now()
	var all sync.WaitGroup
	for _, into := range s.rooms[:callers] {
		all.Go(func() {
			for range each {
				if err := call(into); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	s.took += time.Since(begun)
	s.calls += callers * each
}

// each is what one call takes, in nanoseconds.
func (s *stopwatch) each() float64 { return float64(s.took.Nanoseconds()) / float64(s.calls) }

// BenchmarkPluginEcho shows what the way into another process and back costs, beside
// the same provider in this process and beside the limit: the bytes of the payload
// through a bare socket and back.
func BenchmarkPluginEcho(b *testing.B) {
	p := serving(b, nil)
	builtIn := &testProvider{capability: "test:plain"}
	if err := builtIn.Bind(b.Context(), capability.Binding{BindingID: guestID}, nil); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{64, 4 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size)
			echo := func(p capability.Provider) func([]byte) error {
				return func(into []byte) error {
					_, err := p.Call(b.Context(), capability.Call{BindingID: guestID, Operation: "Echo", Payload: payload, Into: into})
					return err
				}
			}
			socket := mirror(b, size)
			var there, here, bare stopwatch
			for b.Loop() {
				there.round(b, 1, 50, echo(p))
				here.round(b, 1, 50, echo(builtIn))
				bare.round(b, 1, 50, func(into []byte) error { return socket(payload, into[:size]) })
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(there.each()/1e3, "us/call")
			b.ReportMetric(here.each()/1e3, "built-in-us/call")
			b.ReportMetric(bare.each()/1e3, "socket-us/call")
			b.ReportMetric(there.each()/bare.each(), "x-socket")
		})
	}
}

// mirror is a socket that gives everything back.
func mirror(b *testing.B, size int) func(payload, into []byte) error {
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buffer := make([]byte, size)
		for {
			if _, err := io.ReadFull(c, buffer); err != nil {
				return
			}
			if _, err := c.Write(buffer); err != nil {
				return
			}
		}
	})
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); l.Close(); served.Wait() })
	return func(payload, into []byte) error {
		if _, err := c.Write(payload); err != nil {
			return err
		}
		_, err := io.ReadFull(c, into)
		return err
	}
}

// BenchmarkPluginKeyValue gets a value by the key-value provider as it is built in, and
// by the same one as a plugin, from the same server.
func BenchmarkPluginKeyValue(b *testing.B) {
	server, err := redis.Start(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	config := map[string]string{"url": server.URL()}
	p := open(b, link(b, b.TempDir(), "plain"), development("redis"))
	bind(b, p, nil, config)
	builtIn := keyvalue.New(nil)
	defer builtIn.Close(b.Context())
	if err := builtIn.Bind(b.Context(), capability.Binding{BindingID: guestID, Config: config}, nil); err != nil {
		b.Fatal(err)
	}
	request := (&keyvaluepb.GetRequest{Key: "k"}).AppendProto(nil)
	get := func(p capability.Provider) func([]byte) error {
		return func(into []byte) error {
			_, err := p.Call(b.Context(), capability.Call{BindingID: guestID, Operation: capability.OpGet, Payload: request, Into: into})
			return err
		}
	}
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var there, here stopwatch
			for b.Loop() {
				there.round(b, callers, 50, get(p))
				here.round(b, callers, 50, get(builtIn))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(there.each()/1e3, "us/call")
			b.ReportMetric(here.each()/1e3, "built-in-us/call")
			b.ReportMetric(there.each()/here.each(), "x-built-in")
		})
	}
}
