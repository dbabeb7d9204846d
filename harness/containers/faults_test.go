package containers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/harness/containers"
	"github.com/waxosuit/waxo/harness/faults"
)

// TestProvidersComeBack: whatever happens to the real service, each provider's calls
// fail within their deadline and with the right kind of error, and are answered
// again when it is back.
func TestProvidersComeBack(t *testing.T) {
	needEngine(t)
	for name, c := range map[string]struct {
		real      starter
		provider  capability.Provider
		operation string
		payload   []byte
	}{
		"redis":        {containers.Redis, keyvalue.New(nil), capability.OpGet, (&keyvaluepb.GetRequest{Key: "k"}).AppendProto(nil)},
		"messages":     {containers.NATS, messaging.New(nil), capability.OpPublish, (&messagingpb.PublishMessage{Message: &messagingpb.BrokerMessage{Subject: "s"}}).AppendProto(nil)},
		"eventstreams": {containers.NATS, eventstreams.New(nil), capability.OpWriteEvent, (&eventstreampb.Event{Stream: "s"}).AppendProto(nil)},
		"s3":           {containers.S3, blobstore.New(nil), capability.OpCreateContainer, (&blobstorepb.Container{ID: "shelf"}).AppendProto(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, c.real, nil)
			proxy, url, err := faults.Before(s.URL())
			must(t, err)
			defer proxy.Close()
			id := capability.BindingID{Guest: "MFAULTS", Name: capability.DefaultBinding}
			must(t, c.provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url}}, nil))
			defer c.provider.Close(context.Background()) //nolint:errcheck // its service is about to go
			call := func(timeout time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := c.provider.Call(ctx, capability.Call{BindingID: id, Operation: c.operation, Payload: c.payload})
				return err
			}
			must(t, call(20*time.Second))
			for _, step := range []struct {
				name     string
				down, up func(context.Context) error
			}{
				{"stopped", s.Stop, s.Start},
				{"killed", s.Kill, s.Start},
				{"paused", s.Pause, s.Unpause},
				{"disconnected", s.Disconnect, s.Connect},
				{"silent", ignoring(proxy.Silence), ignoring(proxy.Heal)},
				{"reset", ignoring(proxy.Reset), ignoring(proxy.Heal)},
				{"cut off", ignoring(proxy.Cut), ignoring(proxy.Heal)},
			} {
				must(t, step.down(t.Context()))
				begun := time.Now()
				failure := capability.AsError(call(2 * time.Second))
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("%s: a call with 2 s took %v", step.name, took)
				}
				if failure == nil || failure.Code != capability.CodeUnavailable && failure.Code != capability.CodeDeadline {
					t.Errorf("%s: %v", step.name, failure)
				}
				must(t, step.up(t.Context()))
				back := time.Now()
				for err := call(5 * time.Second); err != nil; err = call(5 * time.Second) {
					if time.Since(back) > 30*time.Second {
						t.Fatalf("after it was %s: %v", step.name, err)
					}
				}
			}
		})
	}
}

// ignoring makes a step of what needs no context.
func ignoring(f func() error) func(context.Context) error {
	return func(ctx context.Context) error { return errors.Join(ctx.Err(), f()) }
}
