package blobstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/emulators/s3"
)

// ask sends a request of our own to a server.
func ask(t *testing.T, server *s3.Server, path string) string {
	t.Helper()
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+server.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", empty)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "waxo", SecretAccessKey: "waxo-secret"}, r, empty, "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// proxy stands before a server and cuts connections.
type proxy struct {
	t        *testing.T
	listener net.Listener
	backend  string
	url      string

	mu    sync.Mutex
	conns map[net.Conn]bool
	hang  chan struct{} // not nil: answers wait until it is closed

	cutAt   atomic.Int64 // bytes of answers that still pass before a cut; below 0: no limit
	accepts atomic.Int64
	refuse  atomic.Bool // connections are closed at once
}

func newProxy(t *testing.T, server *s3.Server) *proxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: listener, backend: server.Addr(), conns: make(map[net.Conn]bool)}
	p.url = strings.Replace(server.URL(), server.Addr(), listener.Addr().String(), 1)
	p.cutAt.Store(-1)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.accepts.Add(1)
			work.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.setHang(false)
		p.cut()
		work.Wait()
	})
	return p
}

func (p *proxy) track(conn net.Conn, in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in {
		p.conns[conn] = true
	} else {
		delete(p.conns, conn)
	}
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

// setHang has answers wait, or lets them go.
func (p *proxy) setHang(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hang != nil {
		close(p.hang)
		p.hang = nil
	}
	if on {
		p.hang = make(chan struct{})
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.backend)
	if err != nil || p.refuse.Load() {
		return
	}
	defer server.Close()
	p.track(client, true)
	defer p.track(client, false)
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	defer client.Close()
	buffer := make([]byte, 16<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		hang := p.hang
		p.mu.Unlock()
		if hang != nil {
			<-hang
		}
		if left := p.cutAt.Load(); left >= 0 {
			if p.cutAt.Add(-int64(n)) < 0 {
				p.cutAt.Store(-1)
				client.Write(buffer[:min(int64(n), left)])
				return
			}
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestDeadline: a call whose server does not answer ends with its deadline, or
// when it is given up.
func TestDeadline(t *testing.T) {
	p := newProxy(t, start(t, nil))
	c := bind(t, p.url, nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	if err := c.begin(1, 1); err != nil {
		t.Fatal(err)
	}
	p.setHang(true)
	for op, req := range map[string]request{
		capability.OpCreateContainer: &pb.Container{ID: "other"},
		capability.OpRemoveContainer: &pb.Container{ID: "other"},
		capability.OpListObjects:     &pb.Container{ID: "box"},
		capability.OpRemoveObject:    &pb.Blob{Container: "box", ID: "l"},
		capability.OpGetObjectInfo:   &pb.Blob{Container: "box", ID: "l"},
		capability.OpStartUpload:     &pb.FileChunk{Container: "box", ID: "l", TotalBytes: 1, ChunkSize: 1},
		capability.OpUploadChunk:     &pb.FileChunk{Container: "box", ID: "k", ChunkBytes: []byte("x")},
		capability.OpStartDownload:   &pb.StreamRequest{Container: "box", ID: "l"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begin := time.Now()
		err := c.callIn(ctx, op, req)
		if code(err) != capability.CodeDeadline || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: %v after %v", op, err, time.Since(begin))
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := c.callIn(ctx, capability.OpListObjects, &pb.Container{ID: "box"}); code(err) != capability.CodeCanceled {
		t.Errorf("a call that is given up: %v", err)
	}
	p.setHang(false)
	c.must(capability.OpListObjects, &pb.Container{ID: "box"})
}

// TestUnavailable: without its server a call fails at once, and with it again it
// works, without anybody's doing.
func TestUnavailable(t *testing.T) {
	dir := t.TempDir()
	server := start(t, &s3.Options{Dir: dir})
	c := bind(t, server.URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("data"), 2)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{capability.OpCreateContainer, capability.OpListObjects, capability.OpStartDownload} {
		err := c.call(op, &pb.Container{ID: "box"})
		if want := capability.CodeUnavailable; op != capability.OpStartDownload && code(err) != want {
			t.Errorf("%s without a server: %v", op, err)
		}
	}
	if err := c.download(1); code(err) != capability.CodeUnavailable || !strings.Contains(err.Error(), "cannot be reached: dial: ") {
		t.Errorf("StartDownload without a server: %v", err)
	}
	start(t, &s3.Options{Dir: dir, Addr: server.Addr()})
	if got := c.get(4, 10); string(got) != "data" {
		t.Errorf("the blob is %q", got)
	}
}

// TestNothingTwice: what changes something is not sent again when its connection
// breaks, what only reads is, once.
func TestNothingTwice(t *testing.T) {
	p := newProxy(t, start(t, nil))
	c := bind(t, p.url, nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("data"), 2)
	c.must(capability.OpStartUpload, &pb.FileChunk{Container: "box", ID: "l", TotalBytes: 1, ChunkSize: 1})
	for _, test := range []struct {
		op      string
		req     request
		accepts int64
	}{
		{capability.OpCreateContainer, &pb.Container{ID: "other"}, 1},
		{capability.OpRemoveContainer, &pb.Container{ID: "none"}, 1},
		{capability.OpRemoveObject, &pb.Blob{Container: "box", ID: "none"}, 1},
		{capability.OpUploadChunk, &pb.FileChunk{Container: "box", ID: "l", ChunkBytes: []byte("x")}, 1},
		{capability.OpGetObjectInfo, &pb.Blob{Container: "box", ID: "k"}, 2},
		{capability.OpListObjects, &pb.Container{ID: "box"}, 2},
		{capability.OpStartDownload, &pb.StreamRequest{Container: "box", ID: "k"}, 2},
	} {
		p.refuse.Store(true)
		p.cut()
		// The client notices at its own time; it sends on a new connection then.
		for {
			before := p.accepts.Load()
			err := c.call(test.op, test.req)
			got := p.accepts.Load() - before
			if got == 0 && code(err) == capability.CodeUnavailable && test.op != capability.OpUploadChunk {
				continue
			}
			if code(err) != capability.CodeUnavailable || got > test.accepts || got < test.accepts-1 {
				t.Errorf("%s: %v after %d connections; want %d", test.op, err, got, test.accepts)
			}
			break
		}
		p.refuse.Store(false)
	}
	if n := c.stat(); n != 4 {
		t.Errorf("the blob has %d bytes", n)
	}
}

// TestUploadIsCut: a server that goes away in the middle of an upload ends it
// with an error, nothing of it is ever seen, and it can begin again at once.
func TestUploadIsCut(t *testing.T) {
	p := newProxy(t, start(t, nil))
	c := bind(t, p.url, nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("old"), 3)
	data := noise(16 << 20)
	chunks := enumerate(data, 4<<20)
	if err := errors.Join(c.begin(len(data), 4<<20), c.send(0, chunks[0]), c.send(1, chunks[1])); err != nil {
		t.Fatal(err)
	}
	p.refuse.Store(true)
	p.cut()
	if err := c.send(2, chunks[2]); code(err) != capability.CodeUnavailable {
		t.Errorf("a chunk without a server: %v", err)
	}
	p.refuse.Store(false)
	if err := c.send(3, chunks[3]); code(err) != capability.CodeNotFound {
		t.Errorf("a chunk of an upload that failed: %v", err)
	}
	if n := c.stat(); n != 3 {
		t.Errorf("the blob has %d bytes; want those of the old one", n)
	}
	c.put(data, 3<<20)
	if got := c.get(len(data), 1<<20); !bytes.Equal(got, data) {
		t.Error("another blob came back")
	}
}

// TestPartIsSentAgain: a part whose connection breaks once is sent again.
func TestPartIsSentAgain(t *testing.T) {
	p := newProxy(t, start(t, nil))
	c := bind(t, p.url, nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	data := noise(11 << 20)
	chunks := enumerate(data, 5<<20)
	if err := c.begin(len(data), 5<<20); err != nil {
		t.Fatal(err)
	}
	p.cutAt.Store(0) // of the next answer nothing comes
	for i, chunk := range chunks {
		if err := c.send(i, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.get(len(data), 4<<20); !bytes.Equal(got, data) {
		t.Error("another blob came back")
	}
}

// TestServerRestartsDuringUpload: the parts are on the server, which knows them
// again after a restart.
func TestServerRestartsDuringUpload(t *testing.T) {
	dir := t.TempDir()
	server := start(t, &s3.Options{Dir: dir})
	c := bind(t, server.URL(), nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	data := noise(12 << 20)
	chunks := enumerate(data, 6<<20)
	if err := errors.Join(c.begin(len(data), 6<<20), c.send(0, chunks[0])); err != nil {
		t.Fatal(err)
	}
	server.Close()
	start(t, &s3.Options{Dir: dir, Addr: server.Addr()})
	if err := c.send(1, chunks[1]); err != nil {
		t.Fatal(err)
	}
	if got := c.get(len(data), 4<<20); !bytes.Equal(got, data) {
		t.Error("another blob came back")
	}
}

// TestDownloadGoesOn: a download goes on where its connection broke, also when
// the server was restarted meanwhile.
func TestDownloadGoesOn(t *testing.T) {
	dir := t.TempDir()
	server := start(t, &s3.Options{Dir: dir})
	p := newProxy(t, server)
	c := bind(t, p.url, nil)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	data := noise(32 << 20) // more than the buffers between here and there hold
	c.put(data, 8<<20)
	p.cutAt.Store(1<<20 + 17)
	if err := c.download(256 << 10); err != nil {
		t.Fatal(err)
	}
	got := c.rest(nil, 4<<20) // past the cut
	server.Close()
	p.cut()
	start(t, &s3.Options{Dir: dir, Addr: server.Addr()})
	if got = c.rest(got, len(data)); !bytes.Equal(got, data) {
		t.Error("another blob came")
	}
}

// TestDownloadOfWhatChanged: a guest never gets two versions of a blob in one.
func TestDownloadOfWhatChanged(t *testing.T) {
	server := start(t, nil)
	p := newProxy(t, server)
	logged := newLog()
	c := bind(t, p.url, &blobstore.Options{Log: slog.New(slog.NewTextHandler(logged, nil))})
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put(noise(32<<20), 8<<20)
	if err := c.download(1 << 20); err != nil {
		t.Fatal(err)
	}
	c.receive()
	c.put(noise(33<<20), 8<<20)
	p.cut()
	done := make(chan struct{})
	go func() {
		defer close(done)
		logged.wait(t, "PreconditionFailed")
	}()
	for {
		select {
		case chunk := <-c.chunks:
			if chunk.TotalBytes != 32<<20 {
				t.Fatalf("a chunk of the other version: %d", chunk.TotalBytes)
			}
		case <-done:
			return
		}
	}
}

// TestAnswers: what a server answers that is not S3, or not now.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		want   capability.Code
	}{
		"busy":          {503, "<Error><Code>SlowDown</Code><Message>later</Message></Error>", capability.CodeUnavailable},
		"too many":      {429, "", capability.CodeUnavailable},
		"its fault":     {500, "<Error><Code>InternalError</Code></Error>", capability.CodeUnavailable},
		"a gateway":     {502, "<html>bad gateway</html>", capability.CodeUnavailable},
		"no right":      {403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>", capability.CodeInternal},
		"not there":     {501, "<Error><Code>NotImplemented</Code></Error>", capability.CodeInternal},
		"a redirect":    {301, "", capability.CodeInternal},
		"rubbish":       {200, "<<<", capability.CodeInternal},
		"no such thing": {404, "<Error><Code>NoSuchBucket</Code></Error>", capability.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			var ready atomic.Bool
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !ready.Load() {
					io.WriteString(w, "<ListAllMyBucketsResult></ListAllMyBucketsResult>")
					return
				}
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})}
			go server.Serve(listener)
			defer server.Close()
			u := url.URL{Scheme: "http", User: url.UserPassword("k", "s"), Host: listener.Addr().String()}
			c := bind(t, u.String(), nil)
			ready.Store(true)
			if err := c.call(capability.OpListObjects, &pb.Container{ID: "box"}); code(err) != test.want {
				t.Errorf("%v; want %s", err, test.want)
			}
		})
	}
}
