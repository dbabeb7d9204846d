package blobstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/emulators/s3"
)

func TestConfig(t *testing.T) {
	url := start(t, nil).URL()
	host := strings.TrimPrefix(url[strings.Index(url, "@"):], "@")
	for _, test := range []struct {
		config map[string]string
		want   string // of the error
	}{
		{map[string]string{"url": url}, ""},
		{map[string]string{"url": url + "&path_style=true", "prefix": "team-1."}, ""},
		{map[string]string{"url": url + "/"}, `invalid: the region "us-east-1/" in the url`},
		{nil, "invalid: the binding needs a url, such as http://KEY:SECRET@127.0.0.1:9000?region=us-east-1"},
		{map[string]string{"url": url, "bucket": "x"}, `invalid: wascap:blobstore has no configuration key "bucket": there are url and prefix`},
		{map[string]string{"url": "redis://x:s3cret@host"}, "invalid: the url of the binding is no URL of an S3 server"},
		{map[string]string{"url": "http://x:s3cret@host/bucket"}, "invalid: the url of the binding is no URL of an S3 server"},
		{map[string]string{"url": "http://x:s3cret@ho st"}, "invalid: the url of the binding is no URL of an S3 server"},
		{map[string]string{"url": "http://" + host}, "invalid: the url of the binding has no access key"},
		{map[string]string{"url": url + "&ssl=false"}, `invalid: the url of the binding has a parameter "ssl"`},
		{map[string]string{"url": url + "&path_style=maybe"}, `invalid: path_style in the url of the binding is "maybe"`},
		{map[string]string{"url": "http://waxo:s3cret@" + host}, "invalid: the S3 server at http://127.0.0.1:"},
		{map[string]string{"url": "http://other:s3cret@" + host}, "invalid: the S3 server at http://127.0.0.1:"},
		{map[string]string{"url": strings.Replace(url, "us-east-1", "mars", 1)}, "invalid: the S3 server at http://127.0.0.1:"},
		{map[string]string{"url": url, "prefix": "Team"}, `invalid: the prefix "Team" of the binding cannot lead`},
		{map[string]string{"url": url, "prefix": strings.Repeat("a", 21)}, "invalid: the prefix"},
		{map[string]string{"url": "http://x:s3cret@127.0.0.1:1"}, "unavailable: the S3 server at http://127.0.0.1:1 cannot be reached: dial: "},
	} {
		p := blobstore.New(nil)
		err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: test.config}, newGuest())
		switch {
		case test.want == "" && err == nil:
			again := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: test.config}, newGuest())
			if code(again) != capability.CodeConflict {
				t.Errorf("a second Bind: %v", again)
			}
		case test.want == "" || err == nil || !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("Bind with %v: %v; want %q", test.config, err, test.want)
		case strings.Contains(err.Error(), "s3cret"):
			t.Errorf("Bind with %v tells the secret: %v", test.config, err)
		}
		for range 2 {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestDescribe: the operations are those of the standard, and work only for who
// is bound.
func TestDescribe(t *testing.T) {
	c := bind(t, start(t, nil).URL(), nil)
	if d := c.Describe(); d.Capability != capability.Blobstore || len(d.Operations) != 8 {
		t.Errorf("%+v", d)
	}
	_, err := c.Call(t.Context(), capability.Call{BindingID: capability.BindingID{Guest: "MOTHER", Name: "default"}, Operation: capability.OpListObjects})
	if code(err) != capability.CodeUnavailable {
		t.Errorf("a call of who is not bound: %v", err)
	}
}

// TestPrefixes: bindings with prefixes of their own share a server without seeing
// each other.
func TestPrefixes(t *testing.T) {
	url := start(t, nil).URL()
	p := blobstore.New(nil)
	defer p.Close(t.Context())
	for _, name := range []string{"one", "two"} {
		id := capability.BindingID{Guest: "MGUEST", Name: name}
		if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url, "prefix": name + "-"}}, newGuest()); err != nil {
			t.Fatal(err)
		}
		call := func(op string, req request) ([]byte, error) {
			return p.Call(t.Context(), capability.Call{BindingID: id, Operation: op, Payload: req.AppendProto(nil)})
		}
		if _, err := call(capability.OpCreateContainer, &pb.Container{ID: "Box"}); err != nil {
			t.Fatal(err)
		}
		answer, err := call(capability.OpListObjects, &pb.Container{ID: "Box"})
		if err != nil || len(answer) > 0 {
			t.Errorf("%s sees %q, %v", name, answer, err)
		}
		if _, err := call(capability.OpStartUpload, &pb.FileChunk{Container: "Box", ID: "k"}); err != nil {
			t.Error(err)
		}
	}
}

// TestIdleUpload: an upload that gets no chunk is given up on both sides.
func TestIdleUpload(t *testing.T) {
	server := start(t, nil)
	logged := newLog()
	c := bind(t, server.URL(), &blobstore.Options{UploadIdle: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(logged, nil))})
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	if err := c.begin(20<<20, 6<<20); err != nil {
		t.Fatal(err)
	}
	logged.wait(t, "an upload was given up")
	if err := c.send(0, noise(6<<20)); code(err) != capability.CodeNotFound {
		t.Errorf("a chunk that comes too late: %v", err)
	}
	if err := c.Close(t.Context()); err != nil { // waits for the server to forget it
		t.Error(err)
	}
	if n := uploadsAt(t, server); n != 0 {
		t.Errorf("%d uploads are left on the server", n)
	}
}

// TestUnbindGivesUploadsUp: what is not complete when a binding ends leaves
// nothing.
func TestUnbindGivesUploadsUp(t *testing.T) {
	server := start(t, nil)
	c := bind(t, server.URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	if err := errors.Join(c.begin(20<<20, 6<<20), c.send(0, noise(6<<20))); err != nil {
		t.Fatal(err)
	}
	if n := uploadsAt(t, server); n != 1 {
		t.Errorf("%d uploads are on the server", n)
	}
	if err := c.Unbind(t.Context(), id); err != nil {
		t.Error(err)
	}
	if n := uploadsAt(t, server); n != 0 {
		t.Errorf("%d uploads are left on the server", n)
	}
	if err := c.Unbind(t.Context(), id); err != nil {
		t.Errorf("a second Unbind: %v", err)
	}
}

// TestUnbindDrains: a download that is under way is finished first, or cut off
// where the time for it is over.
func TestUnbindDrains(t *testing.T) {
	c := bind(t, start(t, nil).URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	data := noise(1 << 20)
	c.put(data, 1<<20)
	if err := c.download(100 << 10); err != nil {
		t.Fatal(err)
	}
	first := c.receive()
	unbound := make(chan error, 1)
	go func() { unbound <- c.Unbind(t.Context(), id) }()
	if got := c.rest(first.ChunkBytes, len(data)); !bytes.Equal(got, data) {
		t.Error("another blob came")
	}
	if err := <-unbound; err != nil {
		t.Error(err)
	}

	c = bind(t, start(t, nil).URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put(data, 1<<20)
	if err := c.download(100 << 10); err != nil {
		t.Fatal(err)
	}
	c.receive()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Unbind(ctx, id); code(err) != capability.CodeDeadline {
		t.Errorf("Unbind while the guest takes no chunk: %v", err)
	}
}

// TestLimits: more transfers than there may be are refused, and there is room
// again when one has ended.
func TestLimits(t *testing.T) {
	c := bind(t, start(t, nil).URL(), &blobstore.Options{MaxTransfers: 2})
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("abc"), 1)
	begin := func(id string) error {
		return c.call(capability.OpStartUpload, &pb.FileChunk{Container: "box", ID: id, TotalBytes: 1, ChunkSize: 1})
	}
	if err := errors.Join(begin("a"), begin("b")); err != nil {
		t.Fatal(err)
	}
	if err := begin("c"); code(err) != capability.CodeOverloaded {
		t.Errorf("a third upload: %v", err)
	}
	c.must(capability.OpUploadChunk, &pb.FileChunk{Container: "box", ID: "a", ChunkBytes: []byte("x")})
	if err := begin("c"); err != nil {
		t.Errorf("an upload after the end of another: %v", err)
	}
	if err := errors.Join(c.download(1), c.download(1)); err != nil {
		t.Fatal(err)
	}
	if err := c.download(1); code(err) != capability.CodeOverloaded {
		t.Errorf("a third download: %v", err)
	}
	for range 6 {
		c.receive()
	}
	deadline := time.Now().Add(10 * time.Second)
	err := c.download(1)
	for code(err) == capability.CodeOverloaded && time.Now().Before(deadline) { // the answer to the last chunk is on its way
		err = c.download(1)
	}
	if err != nil {
		t.Errorf("a download after the end of two: %v", err)
	}
	c.rest(nil, 3)
}

// TestConcurrentChunks: of one chunk that comes many times at once, one is
// stored.
func TestConcurrentChunks(t *testing.T) {
	c := bind(t, start(t, nil).URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	if err := c.begin(2, 1); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	codes := make([]capability.Code, 16)
	for i := range codes {
		group.Go(func() { codes[i] = code(c.send(0, []byte("a"))) })
	}
	group.Wait()
	stored := 0
	for _, code := range codes {
		if code == "" {
			stored++
		} else if code != capability.CodeInvalid {
			t.Errorf("a chunk that came twice: %s", code)
		}
	}
	if err := c.send(1, []byte("b")); stored != 1 || err != nil {
		t.Errorf("%d were stored; the next one: %v", stored, err)
	}
	if got := c.get(2, 10); string(got) != "ab" {
		t.Errorf("the blob is %q", got)
	}
}

// TestGuestFails: a download whose guest reports an error ends, and is told.
func TestGuestFails(t *testing.T) {
	logged := newLog()
	c := bind(t, start(t, nil).URL(), &blobstore.Options{MaxTransfers: 1, Log: slog.New(slog.NewTextHandler(logged, nil))})
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("abc"), 1)
	c.guest.fail = errors.New("no")
	if err := c.download(1); err != nil {
		t.Fatal(err)
	}
	logged.wait(t, "the guest does not want ReceiveChunk")
	if err := c.Unbind(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// uploadsAt counts the uploads that a server knows.
func uploadsAt(t *testing.T, server *s3.Server) int {
	t.Helper()
	return strings.Count(ask(t, server, "/box?uploads="), "<Upload>")
}

// log is what was logged.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{}
}

func newLog() *log { return &log{written: make(chan struct{}, 1)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.written <- struct{}{}:
	default:
	}
	return len(p), nil
}

// wait returns once a text was logged.
func (l *log) wait(t *testing.T, text string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		all := l.text.String()
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-l.written:
		case <-limit:
			t.Fatalf("%q was not logged, but %q", text, all)
		}
	}
}
