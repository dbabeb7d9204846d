package eventstreams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// node is one server of a cluster, a process of its own.
type node struct {
	Name              string
	Port, ClusterPort int
	Dir               string
	Routes            []string
	process           *exec.Cmd
	output            strings.Builder
}

const nodeVariable = "WAXO_TEST_NATS_NODE"

// TestMain is the main function of a node, too.
func TestMain(m *testing.M) {
	text := os.Getenv(nodeVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := runNode(text); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func runNode(text string) error {
	var n node
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return err
	}
	o := &server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Port, JetStream: true, StoreDir: n.Dir, NoSigs: true, NoLog: true,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: n.ClusterPort},
	}
	for _, route := range n.Routes {
		u, err := url.Parse(route)
		if err != nil {
			return err
		}
		o.Routes = append(o.Routes, u)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown() // until it is killed
	return errors.New("the server ended")
}

func (n *node) start(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	n.process = exec.Command(os.Args[0])
	n.process.Env = append(os.Environ(), nodeVariable+"="+string(text))
	n.process.Stdout, n.process.Stderr = &n.output, &n.output
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9.
func (n *node) kill() {
	n.process.Process.Kill()
	n.process.Wait()
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all are held until all are known
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// startCluster starts three servers, and returns the url that names all of them.
func startCluster(t *testing.T) (nodes map[string]*node, urls string) {
	t.Helper()
	ports := freePorts(t, 6)
	var routes, clients []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		clients = append(clients, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	nodes = make(map[string]*node)
	for i := range 3 {
		n := &node{Name: fmt.Sprint("node", i), ClusterPort: ports[i], Port: ports[3+i], Dir: filepath.Join(t.TempDir(), "state"), Routes: routes}
		nodes[n.Name] = n
		n.start(t)
		t.Cleanup(func() {
			n.kill()
			if t.Failed() {
				t.Logf("%s said: %s", n.Name, &n.output)
			}
		})
	}
	for _, n := range nodes {
		wait(t, "the servers to listen", func() bool {
			c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", n.Port))
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return nodes, strings.Join(clients, ",")
}

// writing writes events on and on, and remembers which were acknowledged.
type writing struct {
	mu    sync.Mutex
	acked []string
	errs  []error
}

func (w *writing) run(ctx context.Context, write func(ctx context.Context, value string) error) {
	for i := 0; ctx.Err() == nil; i++ {
		value := fmt.Sprint(i)
		call, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := write(call, value)
		cancel()
		w.mu.Lock()
		if err == nil {
			w.acked = append(w.acked, value)
		} else if ctx.Err() == nil {
			w.errs = append(w.errs, err)
		}
		w.mu.Unlock()
	}
}

func (w *writing) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// TestClusterLosesOne: of three servers the one that leads is killed while events
// are written and delivered. None that was acknowledged is lost, and both go on.
func TestClusterLosesOne(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers have to find each other, and again: 20 s")
	}
	nodes, urls := startCluster(t)
	var mu sync.Mutex
	delivered := make(map[string]int)
	g := guest(func(_ context.Context, e *pb.Event) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		delivered[e.Values["v"]]++
		return nil, nil
	})
	p := bindSlowly(t, urls, g, map[string]string{"replicas": "3", "deliver": "s"})
	var w writing
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		w.run(ctx, func(ctx context.Context, value string) error { _, err := write(ctx, p, "s", value); return err })
	})
	wait(t, "events to be written", func() bool { return w.count() >= 200 })

	stream, err := client(t, urls).Stream(t.Context(), "WAXO_EVENTS_default")
	if err != nil {
		t.Fatal(err)
	}
	leader := nodes[stream.CachedInfo().Cluster.Leader]
	if leader == nil {
		t.Fatalf("nobody leads: %+v", stream.CachedInfo().Cluster)
	}
	before := w.count()
	leader.kill()
	wait(t, "events to be written after that", func() bool { return w.count() >= before+200 })
	stop()
	writer.Wait()

	for _, err := range w.errs {
		// In time, not at the deadline of the call.
		if c := capability.AsError(err).Code; c != capability.CodeUnavailable {
			t.Errorf("a write failed with %v", err)
		}
	}
	t.Logf("%d events were acknowledged, %d writes failed", len(w.acked), len(w.errs))
	stored := make(map[string]bool)
	for _, value := range values(t, p, &pb.StreamQuery{StreamID: "s"}) {
		stored[value] = true
	}
	for _, value := range w.acked {
		if !stored[value] {
			t.Errorf("the event %s was acknowledged and is lost", value)
		}
	}
	wait(t, "the events to be delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, value := range w.acked {
			if delivered[value] == 0 {
				return false
			}
		}
		return true
	})
	loseAnother(t, nodes, leader, func(ctx context.Context) error { _, err := write(ctx, p, "s", "late"); return err })
}

// loseAnother kills one server more: without a majority nothing is acknowledged,
// and with it all goes on.
func loseAnother(t *testing.T, nodes map[string]*node, dead *node, write func(context.Context) error) {
	t.Helper()
	for _, n := range nodes {
		if n != dead {
			n.kill()
			break
		}
	}
	wait(t, "writes to fail", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		err := write(ctx)
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("a call with a deadline of 1 s took %v", took)
		}
		if err == nil {
			return false // sent before the loss was noticed
		}
		c := capability.AsError(err).Code
		return c == capability.CodeUnavailable || c == capability.CodeDeadline
	})
	dead.start(t)
	wait(t, "writes to succeed", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return write(ctx) == nil
	})
}
