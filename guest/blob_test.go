package guest_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/emulators/s3"
	"github.com/waxosuit/waxo/guest/guesttest"
)

var blobSize = flag.Int("blob", 64, "how large the blob of TestLargeBlob is, in MiB; 1024 is what is promised")

// deliveries are the chunks on their way to the guest, which serves one call at a
// time: the provider brings one, the test has the guest take it and gives its
// answer back.
type deliveries struct {
	chunks  chan []byte
	answers chan error
}

func (d deliveries) Dispatch(ctx context.Context, operation string, payload, _ []byte) (capability.Reply, error) {
	if operation != capability.OpReceiveChunk {
		return capability.Reply{}, &capability.Error{Code: capability.CodeUnsupported, Message: operation}
	}
	select {
	case d.chunks <- slices.Clone(payload):
		return capability.Reply{}, <-d.answers
	case <-ctx.Done():
		return capability.Reply{}, capability.AsError(ctx.Err())
	}
}

// TestLargeBlob: a blob goes out of a guest and back into it, equal by its hash,
// and the guest, the provider and the server need no memory for it: 64 MiB are
// enough for the guest, however large the blob.
func TestLargeBlob(t *testing.T) {
	provider, id := blobstore.New(nil), capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}
	server, err := s3.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	d := deliveries{make(chan []byte), make(chan error)}
	if err := provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": server.URL()}}, d); err != nil {
		t.Fatal(err)
	}
	defer provider.Close(t.Context())
	g := guesttest.Run(t, guesttest.Build(t, "testdata/blobs"), func(binding, namespace, operation string, payload []byte) ([]byte, error) {
		name, op, err := capability.Resolve(namespace, operation)
		if err != nil || name != capability.Blobstore || binding != id.Name {
			return nil, fmt.Errorf("unexpected: %s %s %s: %w", binding, namespace, operation, err)
		}
		return provider.Call(t.Context(), capability.Call{BindingID: id, Operation: op, Payload: payload})
	})
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stored := must(g.Call(t, "waxo:test!Store", binary.LittleEndian.AppendUint64(nil, uint64(*blobSize)<<20)))
	count := binary.LittleEndian.Uint64(must(g.Call(t, "waxo:test!Fetch", nil)))
	operation := capability.Waxosuit.Spell(capability.Blobstore, capability.OpReceiveChunk)
	for range count {
		select {
		case chunk := <-d.chunks:
			_, err := g.Call(t, operation, chunk)
			d.answers <- err
			must(nil, err)
		case <-time.After(30 * time.Second):
			t.Fatal("no chunk has come")
		}
	}
	if got := must(g.Call(t, "waxo:test!Sum", nil)); string(got) != string(stored) || len(stored) != 64 {
		t.Errorf("the guest stored %s and got %s", stored, got)
	}
	must(g.Call(t, "waxo:test!Tidy", nil))
	t.Logf("%d MiB in %d chunks; the guest's memory is %.1f MiB", *blobSize, count, float64(g.MemorySize())/(1<<20))
	if g.MemorySize() > 64<<20 {
		t.Errorf("the guest's memory has grown to %d MiB", g.MemorySize()>>20)
	}
	if console := strings.Join(g.Console(), "\n"); console != "" {
		t.Errorf("the guest says %s", console)
	}
}
