package containers_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/harness/containers"
)

// TestCluster: three servers have a leader, and lose no acknowledged message when
// one of them, the leader of its stream, is killed.
func TestCluster(t *testing.T) {
	engine := needEngine(t)
	t.Parallel()
	c, err := containers.NATSCluster(t.Context(), nil)
	must(t, err)
	defer c.Close(context.Background())
	if strings.Count(c.URL(), ",") != containers.ClusterSize-1 {
		t.Errorf("URL = %q", c.URL())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := nats.Connect(c.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	must(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(t, err)
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}, Replicas: containers.ClusterSize})
	must(t, err)
	info, err := stream.Info(ctx)
	must(t, err)
	leader := info.Cluster.Leader
	publish(ctx, t, js, 0, 20)

	var index int
	if _, err := fmt.Sscanf(leader, "node%d", &index); err != nil {
		t.Fatalf("the leader is %q: %v", leader, err)
	}
	must(t, c.Nodes[index].Kill(ctx))
	publish(ctx, t, js, 20, 40)
	info, err = stream.Info(ctx)
	must(t, err)
	if info.State.Msgs < 40 || info.Cluster.Leader == leader {
		t.Errorf("%d messages, led by %s, after %s was killed", info.State.Msgs, info.Cluster.Leader, leader)
	}
	for i := range uint64(40) {
		m, err := stream.GetMsg(ctx, i+1)
		if err != nil {
			t.Errorf("message %d is lost: %v", i+1, err)
		} else if i < 20 && string(m.Data) != fmt.Sprint(i) {
			t.Errorf("message %d is %q", i+1, m.Data)
		}
	}
	must(t, c.Nodes[index].Start(ctx))
	node, err := engine.ContainerInspect(ctx, c.Nodes[index].Name(), client.ContainerInspectOptions{})
	must(t, err)
	networks := slices.Collect(maps.Keys(node.Container.NetworkSettings.Networks))
	if len(networks) == 0 {
		t.Error("the cluster has no network")
	}
	must(t, c.Close(ctx))
	must(t, c.Close(ctx))
	for _, name := range networks { // of this cluster: other tests may have one too
		if _, err := engine.NetworkInspect(ctx, name, client.NetworkInspectOptions{}); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("of the network %s is left: %v", name, err)
		}
	}
	if _, err := containers.NATSCluster(ctx, &containers.Options{Reuse: "a"}); err == nil {
		t.Error("a cluster with a key")
	}
}

// publish publishes numbers until each was acknowledged.
func publish(ctx context.Context, t *testing.T, js jetstream.JetStream, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		for {
			try, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := js.Publish(try, "events", fmt.Append(nil, i))
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("message %d was not acknowledged: %v", i, err)
			}
		}
	}
}

// TestReaper: a process that is killed leaves nothing.
func TestReaper(t *testing.T) {
	engine := needEngine(t)
	t.Parallel()
	const session = "waxo-test-reaper"
	holder := exec.Command(os.Args[0])
	holder.Env = append(holder.Environ(), "CONTAINERS_TEST_HOLD=1", "TESTCONTAINERS_SESSION_ID="+session, "RYUK_RECONNECTION_TIMEOUT=1s")
	out, err := holder.StdoutPipe()
	must(t, err)
	must(t, holder.Start())
	name, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	name = strings.TrimSpace(name)
	if _, err := engine.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{}); err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	must(t, holder.Process.Kill())
	_ = holder.Wait() // it was killed
	deadline := time.Now().Add(time.Minute)
	for {
		left, err := engine.ContainerList(t.Context(), client.ContainerListOptions{
			All: true, Filters: make(client.Filters).Add("label", "org.testcontainers.sessionId="+session),
		})
		must(t, err)
		if len(left.Items) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d containers are left, such as %v", len(left.Items), left.Items[0].Names)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}
