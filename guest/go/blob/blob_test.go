package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// received is what the guest of these tests got; refuse is the id of a blob that it
// does not want.
var (
	received []blob.Chunk
	refuse   string
)

func init() {
	blob.OnChunk(func(c *blob.Chunk) error {
		if c.ID == refuse {
			return errors.New("not this one")
		}
		kept := *c
		kept.Data = bytes.Clone(c.Data)
		received = append(received, kept)
		return nil
	})
}

var _ io.WriteCloser = (*blob.Writer)(nil)

func newHost(t *testing.T) *waxotest.Host {
	t.Helper()
	h := waxotest.New(t)
	h.Grant(blob.Capability)
	received, refuse = nil, ""
	check(t, "CreateContainer", nil, blob.CreateContainer("box"))
	return h
}

func check(t *testing.T, what string, want, got error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestContainers(t *testing.T) {
	newHost(t)
	check(t, "CreateContainer again", nil, blob.CreateContainer("box"))
	check(t, "CreateContainer of nothing", waxo.ErrInvalid, blob.CreateContainer(""))
	check(t, "RemoveContainer of none", waxo.ErrNotFound, blob.RemoveContainer("none"))
	check(t, "Put", nil, blob.Put("box", "k", []byte("v")))
	check(t, "RemoveContainer of a full one", waxo.ErrConflict, blob.RemoveContainer("box"))
	check(t, "Remove", nil, blob.Remove("box", "k"))
	check(t, "Remove again", nil, blob.Remove("box", "k"))
	check(t, "RemoveContainer", nil, blob.RemoveContainer("box"))
	_, err := blob.List("box")
	check(t, "List of none", waxo.ErrNotFound, err)
}

func TestBlobs(t *testing.T) {
	h := newHost(t)
	if _, ok, err := blob.Info("box", "k"); ok || err != nil {
		t.Errorf("Info of none = %t %v", ok, err)
	}
	_, _, err := blob.Info("none", "k")
	check(t, "Info in no container", waxo.ErrNotFound, err)
	for _, size := range []int{0, 1, blob.DefaultChunkSize - 1, blob.DefaultChunkSize, blob.DefaultChunkSize + 1, 3*blob.DefaultChunkSize + 7} {
		data := bytes.Repeat([]byte("0123456789 "), size/11+1)[:size]
		id := fmt.Sprint("ü", size)
		check(t, "Put", nil, blob.Put("box", id, data))
		want := blob.Blob{Container: "box", ID: id, Size: uint64(size)}
		if got, ok, err := blob.Info("box", id); !ok || err != nil || got != want {
			t.Errorf("Info = %v %t %v, want %v", got, ok, err, want)
		}
		if got, ok := h.Blob("box", id); !ok || !bytes.Equal(got, data) {
			t.Errorf("%s holds %d bytes, %t", id, len(got), ok)
		}
	}
	check(t, "Put over it", nil, blob.Put("box", "ü1", []byte("other")))
	check(t, "Put", nil, blob.Put("box", "a", nil))
	list, err := blob.List("box")
	if err != nil || len(list) != 7 || list[0].ID != "a" || list[2] != (blob.Blob{Container: "box", ID: "ü1", Size: 5}) {
		t.Errorf("List = %v %v", list, err)
	}
	other := blob.Open("other")
	_, _, err = other.Info("box", "a")
	check(t, "Info under another binding", waxo.ErrNotFound, err)
}

// TestWriter: however the writes are cut, the blob is what was written.
func TestWriter(t *testing.T) {
	h := newHost(t)
	data := bytes.Repeat([]byte("abcdefg"), 100_000)
	for _, step := range []int{999, 64 << 10, blob.DefaultChunkSize - 1, blob.DefaultChunkSize, blob.DefaultChunkSize + 1, len(data)} {
		w, err := blob.Upload("box", "k", uint64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			n, err := w.Write(rest[:min(step, len(rest))])
			if err != nil || n != min(step, len(rest)) {
				t.Fatalf("Write of %d = %d %v", step, n, err)
			}
			rest = rest[n:]
		}
		check(t, "Close", nil, w.Close())
		check(t, "Close again", nil, w.Close())
		if _, err := w.Write([]byte("x")); !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("Write after Close = %v", err)
		}
		if got, _ := h.Blob("box", "k"); !bytes.Equal(got, data) {
			t.Errorf("written by %d, another blob is there", step)
		}
	}
}

func TestWriterErrors(t *testing.T) {
	h := newHost(t)
	w, err := blob.Upload("box", "k", 5)
	check(t, "Upload", nil, err)
	if n, err := w.Write([]byte("123456")); n != 0 || !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("Write of too much = %d %v", n, err)
	}
	if n, err := w.Write([]byte("123")); n != 3 || err != nil {
		t.Errorf("Write after that = %d %v", n, err)
	}
	err = w.Close()
	if want := `invalid: blob: only 3 of the 5 bytes of "k" were written; it was not stored`; err == nil || err.Error() != want {
		t.Errorf("Close too early = %v, want %s", err, want)
	}
	if _, ok := h.Blob("box", "k"); ok {
		t.Error("a part of a blob was stored")
	}
	_, err = blob.Upload("box", "k", 5)
	check(t, "Upload while one is under way", waxo.ErrConflict, err)
	check(t, "Remove", nil, blob.Remove("box", "k"))
	w, err = blob.Upload("box", "k", 5)
	check(t, "Upload after Remove", nil, err)
	h.Fail(blob.Capability, &waxo.Error{Code: "unavailable", Message: "not now"})
	_, err = w.Write([]byte("12345"))
	check(t, "Write without a store", waxo.ErrUnavailable, err)
	h.Fail(blob.Capability, nil)
	check(t, "Close after it", waxo.ErrUnavailable, w.Close())
	_, err = blob.Upload("none", "k", 5)
	check(t, "Upload into no container", waxo.ErrNotFound, err)
}

// TestChunks: an upload may be brought by calls that know nothing of each other.
func TestChunks(t *testing.T) {
	h := newHost(t)
	tr, err := blob.StartUpload("box", "k", 5, 2)
	if want := (blob.Transfer{Blob: blob.Blob{Container: "box", ID: "k", Size: 5}, ChunkSize: 2, Chunks: 3}); err != nil || tr != want {
		t.Fatalf("StartUpload = %+v %v", tr, err)
	}
	check(t, "the second chunk", waxo.ErrInvalid, blob.UploadChunk(tr, 1, []byte("cd")))
	check(t, "the first chunk", nil, blob.UploadChunk(tr, 0, []byte("ab")))
	check(t, "the first chunk again", waxo.ErrInvalid, blob.UploadChunk(tr, 0, []byte("ab")))
	check(t, "the second chunk", nil, blob.UploadChunk(tr, 1, []byte("cd")))
	check(t, "a long last chunk", waxo.ErrInvalid, blob.UploadChunk(tr, 2, []byte("ef")))
	check(t, "the last chunk", nil, blob.UploadChunk(tr, 2, []byte("e")))
	check(t, "one more chunk", waxo.ErrNotFound, blob.UploadChunk(tr, 3, []byte("f")))
	if got, _ := h.Blob("box", "k"); string(got) != "abcde" {
		t.Errorf("the blob is %q", got)
	}
	for _, size := range []int{0, -1} {
		_, err = blob.StartUpload("box", "k", 5, size)
		check(t, "StartUpload in chunks of nothing", waxo.ErrInvalid, err)
	}
}

func TestDownload(t *testing.T) {
	h := newHost(t)
	check(t, "Put", nil, blob.Put("box", "k", []byte("abcde")))
	check(t, "Put", nil, blob.Put("box", "bad", []byte("xyz")))
	check(t, "Put", nil, blob.Put("box", "empty", nil))
	tr, err := blob.Download("box", "k", 2)
	if want := (blob.Transfer{Blob: blob.Blob{Container: "box", ID: "k", Size: 5}, ChunkSize: 2, Chunks: 3}); err != nil || tr != want {
		t.Fatalf("Download = %+v %v", tr, err)
	}
	if len(received) > 0 {
		t.Error("chunks came before their time")
	}
	refuse = "bad"
	_, err = blob.Download("box", "bad", 1)
	check(t, "Download", nil, err)
	if tr, err := blob.Download("box", "empty", 0); err != nil || tr.Chunks != 0 || tr.ChunkSize == 0 {
		t.Errorf("Download of nothing = %+v %v", tr, err)
	}
	_, err = blob.Download("box", "k", 100)
	check(t, "Download", nil, err)
	if err := h.DeliverChunks(); !errors.Is(err, waxo.ErrGuest) || !strings.Contains(err.Error(), "not this one") {
		t.Errorf("DeliverChunks = %v", err)
	}
	var got []string
	for _, c := range received {
		got = append(got, fmt.Sprintf("%s/%s %d at %d of %d: %s %t", c.Container, c.ID, c.Number, c.Offset(), c.Size, c.Data, c.Last()))
	}
	want := "box/k 0 at 0 of 5: ab false;box/k 1 at 2 of 5: cd false;box/k 2 at 4 of 5: e true;box/k 0 at 0 of 5: abcde true"
	if strings.Join(got, ";") != want {
		t.Errorf("received %q", got)
	}
	check(t, "DeliverChunks of nothing", nil, h.DeliverChunks())
	_, err = blob.Download("box", "none", 0)
	check(t, "Download of none", waxo.ErrNotFound, err)
	_, err = blob.Download("box", "k", -1)
	check(t, "Download in chunks of nothing", waxo.ErrInvalid, err)
	if _, err := h.Call(blob.Capability+"!ReceiveChunk", []byte{0xff}); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("a chunk that cannot be read: %v", err)
	}
}

func TestDenied(t *testing.T) {
	waxotest.New(t).Grant()
	check(t, "CreateContainer", waxo.ErrDenied, blob.CreateContainer("box"))
}

func TestOnChunkTwice(t *testing.T) {
	for name, handler := range map[string]func(*blob.Chunk) error{"nil": nil, "a second": func(*blob.Chunk) error { return nil }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s handler is taken", name)
				}
			}()
			blob.OnChunk(handler)
		}()
	}
}
