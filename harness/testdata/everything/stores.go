package main

import (
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

func keyValue(t *transcript, _ *http.Request) {
	values(t)
	lists(t)
	sets(t)
}

func values(t *transcript) {
	get := func(key string) {
		value, ok, err := kv.Get(key)
		t.did("Get", key, value, ok, err)
	}
	get("k")
	t.did("Set", "k", kv.Set("k", "世界🙂\x00\n"))
	get("k")
	t.did("Set", "k for 1000 s", kv.SetFor("k", "for a while", 1000))
	get("k")
	t.did("Set", "k for 0 s", kv.SetFor("k", "", 0))
	t.did("Del", "k", kv.Delete("k"))
	t.did("Del", "k", kv.Delete("k"))
	exists := func(key string) {
		ok, err := kv.Exists(key)
		t.did("KeyExists", key, ok, err)
	}
	exists("k")
	t.did("Set", "k", kv.Set("k", ""))
	exists("k")
	get("k")
	add := func(key string, n int32) {
		sum, err := kv.Add(key, n)
		t.did("Add", key+" "+strconv.Itoa(int(n)), sum, err)
	}
	add("n", 40)
	add("n", 2)
	add("n", -84)
	add("n", -2147483648)
	get("n")
	add("k", 1)
}

func lists(t *transcript) {
	length := func(operation string, perform func(key, item string) (int, error), key, item string) {
		n, err := perform(key, item)
		t.did(operation, key+" "+item, n, err)
	}
	items := func(start, stop int32) {
		found, err := kv.ListRange("l", start, stop)
		t.did("Range", "l "+strconv.Itoa(int(start))+" "+strconv.Itoa(int(stop)), found, err)
	}
	items(0, -1)
	for _, item := range []string{"a", "ü", "a", "", "z"} {
		length("Push", kv.ListPush, "l", item)
	}
	items(0, -1)
	items(1, 2)
	items(-2, 100)
	items(4, 1)
	length("ListItemDelete", kv.ListRemove, "l", "a")
	length("ListItemDelete", kv.ListRemove, "l", "not there")
	items(0, -1)
	t.did("Clear", "l", kv.ListClear("l"))
	items(0, -1)
	length("Push", kv.ListPush, "k", "onto a value")
}

func sets(t *transcript) {
	size := func(operation string, perform func(key, member string) (int, error), key, member string) {
		n, err := perform(key, member)
		t.did(operation, key+" "+member, n, err)
	}
	for _, member := range []string{"b", "a", "ü", "a"} {
		size("SetAdd", kv.SetAdd, "s", member)
	}
	size("SetAdd", kv.SetAdd, "other", "c")
	size("SetAdd", kv.SetAdd, "other", "a")
	size("SetRemove", kv.SetRemove, "s", "b")
	size("SetRemove", kv.SetRemove, "s", "b")
	members, err := kv.SetMembers("s")
	t.did("SetQuery", "s", members, err)
	members, err = kv.SetUnion("s", "other", "none")
	t.did("SetUnion", "s other none", members, err)
	members, err = kv.SetIntersection("s", "other")
	t.did("SetIntersection", "s other", members, err)
	members, err = kv.SetIntersection("s", "none")
	t.did("SetIntersection", "s none", members, err)
	members, err = kv.SetUnion()
	t.did("SetUnion", "of nothing", members, err)
	members, err = kv.SetMembers("k")
	t.did("SetQuery", "k", members, err)
}

func blobstore(t *transcript, _ *http.Request) {
	t.did("CreateContainer", "box", blob.CreateContainer("box"))
	t.did("CreateContainer", "box", blob.CreateContainer("box"))
	t.did("CreateContainer", "Not a bucket's name", blob.CreateContainer("Not a bucket's name"))
	upload(t)
	list(t, "box")
	list(t, "none")
	info(t, "box", "ä/small")
	info(t, "box", "none")
	info(t, "none", "ä/small")
}

// download has the blob that the parameter id names brought in chunks of size bytes.
func download(t *transcript, r *http.Request) {
	id := r.Query().Get("id")
	size, _ := strconv.Atoi(r.Query().Get("size"))
	transfer, err := blob.Download("box", id, size)
	t.did("StartDownload", "box/"+id+" in chunks of "+strconv.Itoa(size), transfer.Size, transfer.ChunkSize, transfer.Chunks, err)
}

// upload stores blobs in each of the ways that there are.
func upload(t *transcript) {
	t.did("UploadChunk", "ä/small", blob.Put("box", "ä/small", []byte("not text: \xff\x00")))
	start := func(id string, size uint64, chunk int) blob.Transfer {
		transfer, err := blob.StartUpload("box", id, size, chunk)
		t.did("StartUpload", "box/"+id+" of "+strconv.Itoa(int(size)), transfer.ChunkSize, transfer.Chunks, err)
		return transfer
	}
	start("nothing", 0, 1)
	pieces := start("pieces", 10, 4)
	start("pieces", 10, 4)
	for _, c := range []struct {
		number uint64
		data   string
	}{{1, "4567"}, {0, "0123"}, {1, "4567"}, {2, "89x"}, {2, "89"}, {3, "x"}} {
		t.did("UploadChunk", strconv.Itoa(int(c.number))+" "+c.data, blob.UploadChunk(pieces, c.number, []byte(c.data)))
	}
}

func list(t *transcript, container string) {
	blobs, err := blob.List(container)
	var found []string
	for _, b := range blobs {
		found = append(found, b.Container+"/"+b.ID+" "+strconv.Itoa(int(b.Size)))
	}
	t.did("ListObjects", container, found, err)
}

func info(t *transcript, container, id string) {
	b, ok, err := blob.Info(container, id)
	t.did("GetObjectInfo", container+"/"+id, b.Container, b.ID, b.Size, ok, err)
}

// tidy removes what blobstore stored.
func tidy(t *transcript, _ *http.Request) {
	t.did("RemoveContainer", "box", blob.RemoveContainer("box"))
	for _, id := range []string{"pieces", "ä/small", "nothing", "none"} {
		t.did("RemoveObject", "box/"+id, blob.Remove("box", id))
	}
	list(t, "box")
	t.did("RemoveObject", "none/k", blob.Remove("none", "k"))
	for _, container := range []string{"box", "Not a bucket's name", "box"} {
		t.did("RemoveContainer", container, blob.RemoveContainer(container))
	}
}

func takeChunk(c *blob.Chunk) error {
	return note("ReceiveChunk", strings.Join([]string{
		c.Container + "/" + c.ID, text(c.Number), "at " + text(c.Offset()), "of " + text(c.Size), text(c.Last()), text(c.Data),
	}, " "))
}
