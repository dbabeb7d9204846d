package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/waxosuit/waxo/emulators/s3"
)

var size = flag.Int64("size", 64, "how large the large object is, in MiB")

// TestMain makes a server of the test binary where a parent asks for one, so that
// it can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WAXO_TEST_S3_DIR"); dir != "" {
		server, err := s3.Start(context.Background(), &s3.Options{Dir: dir})
		if err != nil {
			panic(err)
		}
		fmt.Println(server.URL())
		io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// dump is what a bucket holds: keys, sizes and data.
func dump(t *testing.T, server *s3.Server) string {
	t.Helper()
	b := &box{t, connect(t, server.URL())}
	list := must[*client.ListObjectsV2Output](t)(b.ListObjectsV2(t.Context(), &client.ListObjectsV2Input{Bucket: aws.String("box")}))
	var all []string
	for _, o := range list.Contents {
		head := must[*client.HeadObjectOutput](t)(b.HeadObject(t.Context(), &client.HeadObjectInput{Bucket: aws.String("box"), Key: o.Key}))
		data := must[string](t)(b.get(*o.Key, ""))
		all = append(all, fmt.Sprintf("%q %s %v %v %s", *o.Key, *o.ETag, head.Metadata, o.LastModified, data))
	}
	return strings.Join(all, "\n")
}

// fill makes a bucket with objects, one in the making, and leftovers.
func fill(t *testing.T, server *s3.Server) (upload *string) {
	t.Helper()
	b := &box{t, connect(t, server.URL())}
	b.create("box")
	b.create("gone")
	must[*client.DeleteBucketOutput](t)(b.DeleteBucket(t.Context(), &client.DeleteBucketInput{Bucket: aws.String("gone")}))
	for _, key := range []string{"a", odd, "replaced", "replaced", "removed", ""} {
		if key != "" {
			b.put(key, "data of "+key)
		}
	}
	must[*client.DeleteObjectOutput](t)(b.DeleteObject(t.Context(), &client.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("removed")}))
	must[*client.CopyObjectOutput](t)(b.CopyObject(t.Context(), &client.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("copy"), CopySource: aws.String("box/a")}))
	id := must[*client.CreateMultipartUploadOutput](t)(b.CreateMultipartUpload(t.Context(), &client.CreateMultipartUploadInput{
		Bucket: aws.String("box"), Key: aws.String("made"), Metadata: map[string]string{"a": "b"}})).UploadId
	must[*client.UploadPartOutput](t)(b.UploadPart(t.Context(), &client.UploadPartInput{
		Bucket: aws.String("box"), Key: aws.String("made"), UploadId: id, PartNumber: aws.Int32(1), Body: strings.NewReader("part")}))
	return id
}

// finish completes what fill began.
func finish(t *testing.T, server *s3.Server, id *string) {
	t.Helper()
	b := &box{t, connect(t, server.URL())}
	etag := `"8b14dfd7bb1d0e8dc9ae6c1e4ae2b36d"`
	parts := must[*client.ListPartsOutput](t)(b.ListParts(t.Context(), &client.ListPartsInput{Bucket: aws.String("box"), Key: aws.String("made"), UploadId: id}))
	if len(parts.Parts) == 1 {
		etag = *parts.Parts[0].ETag
	}
	_, err := b.CompleteMultipartUpload(t.Context(), &client.CompleteMultipartUploadInput{
		Bucket: aws.String("box"), Key: aws.String("made"), UploadId: id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: &etag, PartNumber: aws.Int32(1)}}}})
	wantCode(t, "to complete an upload of an earlier run", err, "")
	if got, err := b.get("made", ""); got != "part" {
		t.Errorf("the upload gave %q, %v", got, err)
	}
}

// files are the data in a folder of state.
func files(t *testing.T, dir string) int {
	t.Helper()
	return len(must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "data"))))
}

func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	server := start(t, &s3.Options{Dir: dir})
	id := fill(t, server)
	want := dump(t, server)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if n := files(t, dir); n != 4 {
		t.Errorf("%d files of data; want a, the odd one, replaced, and a part", n)
	}
	server = start(t, &s3.Options{Dir: dir})
	if got := dump(t, server); got != want {
		t.Errorf("after a restart:\n%s\nwant:\n%s", got, want)
	}
	finish(t, server, id)
}

// TestKill: what was confirmed is there after a kill -9 in the middle of
// everything, and what was not, is not there in part.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	confirmed := make(map[string]string)
	for round := range 5 {
		command := exec.CommandContext(t.Context(), os.Args[0])
		command.Env = append(os.Environ(), "WAXO_TEST_S3_DIR="+dir)
		stdin := must[io.WriteCloser](t)(command.StdinPipe())
		stdout := must[io.ReadCloser](t)(command.StdoutPipe())
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		url := must[string](t)(bufio.NewReader(stdout).ReadString('\n'))
		b := &box{t, connect(t, strings.TrimSpace(url))}
		if round == 0 {
			b.create("box")
		}
		for key, want := range confirmed {
			if got, err := b.get(key, ""); got != want {
				t.Fatalf("round %d: %s holds %d bytes, not %d: %v", round, key, len(got), len(want), err)
			}
		}
		hammer(t, b, round, confirmed, func() { command.Process.Kill() })
		stdin.Close()
		command.Wait() // it was killed
	}
	start(t, &s3.Options{Dir: dir})
	if n := files(t, dir); n < len(confirmed) || n > len(confirmed)+5*4 {
		t.Errorf("%d files of data for %d objects", n, len(confirmed))
	}
}

// hammer puts objects from four sides, has the server killed after a number of
// them, and notes which were confirmed.
func hammer(t *testing.T, b *box, round int, confirmed map[string]string, kill func()) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for worker := range 4 {
		random := rand.New(rand.NewPCG(uint64(round), uint64(worker)))
		group.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d-%d", round, worker, i)
				data := strings.Repeat(key+"\n", 1+random.IntN(20_000))
				_, err := b.PutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String("box"), Key: &key, Body: strings.NewReader(data)})
				if err != nil {
					return
				}
				mu.Lock()
				confirmed[key] = data
				if len(confirmed) == 25*(round+1) {
					kill()
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// TestTornJournal: a journal that ends in the middle of a line is read up to
// there; one that is broken before its end is refused and left alone.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	server := start(t, &s3.Options{Dir: dir})
	(&box{t, connect(t, server.URL())}).create("box")
	b := &box{t, connect(t, server.URL())}
	b.put("a", "data")
	server.Close()
	whole := must[[]byte](t)(os.ReadFile(journal))
	for cut := range len(whole) - bytes.Index(whole, []byte("\n")) - 1 {
		if err := os.WriteFile(journal, whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		server, err := s3.Start(t.Context(), &s3.Options{Dir: dir})
		if err != nil {
			t.Fatalf("without the last %d bytes: %v", cut, err)
		}
		server.Close()
		if cut == 0 && files(t, dir) != 1 {
			t.Error("the data is gone")
		}
	}
	for name, bad := range map[string]string{
		"another version":   strings.Replace(string(whole), `{"waxo_s3":1}`, `{"waxo_s3":2}`, 1),
		"no version":        strings.Replace(string(whole), `{"waxo_s3":1}`, `{}`, 1),
		"rubbish":           "rubbish\n" + string(whole),
		"rubbish within":    strings.Replace(string(whole), `{"op":"bucket"`, `{"op":"bucket`, 1) + `{"op":"bucket","bucket":"b"}` + "\n",
		"an unknown field":  strings.Replace(string(whole), `{"op":"bucket"`, `{"x":1,"op":"bucket"`, 1) + `{"op":"bucket","bucket":"b"}` + "\n",
		"an unknown record": strings.Replace(string(whole), `"op":"bucket"`, `"op":"x"`, 1) + `{"op":"bucket","bucket":"b"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(journal, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s3.Start(t.Context(), &s3.Options{Dir: dir})
			var state *s3.StateError
			if !errors.As(err, &state) || state.Dir != dir {
				t.Errorf("Start = %v", err)
			}
			if got := must[[]byte](t)(os.ReadFile(journal)); string(got) != bad {
				t.Error("the journal was changed")
			}
		})
	}
}

// TestLostData: an object whose data is not whole is gone, the others are there.
func TestLostData(t *testing.T) {
	dir := t.TempDir()
	server := start(t, &s3.Options{Dir: dir})
	b := &box{t, connect(t, server.URL())}
	b.create("box")
	b.put("a", "lost")
	lost := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "data")))[0].Name()
	b.put("b", "kept")
	server.Close()
	if err := os.Truncate(filepath.Join(dir, "data", lost), 2); err != nil {
		t.Fatal(err)
	}
	server = start(t, &s3.Options{Dir: dir})
	b = &box{t, connect(t, server.URL())}
	_, err := b.get("a", "")
	wantCode(t, "what was lost", err, "NoSuchKey")
	if got, err := b.get("b", ""); got != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	if n := files(t, dir); n != 1 {
		t.Errorf("%d files of data", n)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	start(t, &s3.Options{Dir: dir})
	_, err := s3.Start(t.Context(), &s3.Options{Dir: dir})
	var locked *s3.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Dir != dir {
		t.Errorf("Start of a second server = %v", err)
	}
}

func TestTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server := start(t, nil)
	if entries, _ := os.ReadDir(os.TempDir()); len(entries) != 1 {
		t.Errorf("%d temporary folders", len(entries))
	}
	for range 2 {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(os.TempDir()); len(entries) != 0 {
		t.Errorf("%d temporary folders are left", len(entries))
	}
}

// TestExport: a copy that is made while objects come, change and go is one that
// can be served, with all that was confirmed before.
func TestExport(t *testing.T) {
	server := start(t, &s3.Options{Dir: t.TempDir()})
	id := fill(t, server)
	before := dump(t, server)
	b := &box{t, connect(t, server.URL())}
	quit := make(chan struct{})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-quit:
					return
				default:
					key := fmt.Sprintf("z%d-%d", worker, i%3)
					b.put(key, strings.Repeat(key, 1000+i))
				}
			}
		})
	}
	parent := t.TempDir()
	for i := range 5 {
		dir := filepath.Join(parent, fmt.Sprint(i))
		if err := server.Export(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		copied := start(t, &s3.Options{Dir: dir})
		got := dump(t, copied)
		if !strings.HasPrefix(got, before) {
			t.Errorf("the copy has:\n%s\nwant:\n%s", got, before)
		}
		for line := range strings.Lines(strings.TrimPrefix(got, before)) {
			key, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
			if data := rest[strings.LastIndex(rest, " ")+1:]; ok && strings.ReplaceAll(data, strings.Trim(key, `"`), "") != "" {
				t.Errorf("%s is torn: %.60q", key, data)
			}
		}
		finish(t, copied, id)
	}
	close(quit)
	group.Wait()
	if err := server.Export(t.Context(), filepath.Join(parent, "0")); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("an export into a folder with something in it: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Export(ended, filepath.Join(parent, "none")); err == nil {
		t.Error("an export that is given up succeeds")
	}
	if entries := must[[]fs.DirEntry](t)(os.ReadDir(filepath.Join(parent, "none"))); len(entries) > 0 {
		t.Errorf("an export that was given up leaves %v", entries)
	}
}

// zeros is a body of any length.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// TestMemory: an object larger than memory costs none, in and out, in one piece,
// in parts and copied.
func TestMemory(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	large := *size << 20
	presigner := client.NewPresignClient(b.Client)
	send := func(method, url string, body int64) http.Header {
		r := must[*http.Request](t)(http.NewRequestWithContext(ctx, method, url, nil))
		if body > 0 {
			r.Body, r.ContentLength = io.NopCloser(&zeros{body}), body
		}
		resp := must[*http.Response](t)(http.DefaultClient.Do(r))
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || method == "GET" && n != large {
			t.Fatalf("%s: %s, %d bytes, %v", method, resp.Status, n, err)
		}
		return resp.Header
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	put, err := presigner.PresignPutObject(ctx, &client.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	send("PUT", put.URL, large)
	id := must[*client.CreateMultipartUploadOutput](t)(b.CreateMultipartUpload(ctx, &client.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("two")})).UploadId
	var parts []types.CompletedPart
	for number := range int32(4) {
		number++
		part, err := presigner.PresignUploadPart(ctx, &client.UploadPartInput{Bucket: aws.String("box"), Key: aws.String("two"), UploadId: id, PartNumber: &number})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: aws.String(send("PUT", part.URL, large/4).Get("Etag"))})
	}
	must[*client.CompleteMultipartUploadOutput](t)(b.CompleteMultipartUpload(ctx, &client.CompleteMultipartUploadInput{
		Bucket: aws.String("box"), Key: aws.String("two"), UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}))
	for _, key := range []string{"one", "two"} {
		get, err := presigner.PresignGetObject(ctx, &client.GetObjectInput{Bucket: aws.String("box"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		send("GET", get.URL, 0)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d MiB in and out allocate %d MiB", *size*4, grown>>20)
	}
}

// TestCut: a client that goes away in the middle of an object leaves nothing.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	server := start(t, &s3.Options{Dir: dir})
	b := &box{t, connect(t, server.URL())}
	b.create("box")
	b.put("k", "old")
	presigner := client.NewPresignClient(b.Client)
	put, err := presigner.PresignPutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "PUT", put.URL, io.MultiReader(&zeros{1 << 20}, broken{})))
	r.ContentLength = 2 << 20
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("the body was not cut")
	}
	if got, err := b.get("k", ""); got != "old" {
		t.Errorf("the object holds %d bytes, %v", len(got), err)
	}
	if err := server.Close(); err != nil { // waits for what is under way
		t.Fatal(err)
	}
	if n := files(t, dir); n != 1 {
		t.Errorf("%d files of data", n)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("gone") }

// TestCommandLine has the AWS command line do what people do with it.
func TestCommandLine(t *testing.T) {
	program, err := exec.LookPath("aws")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no aws: bash .ci/install installs it")
		}
		t.Skip("there is no aws: pip install awscli, or apt-get install awscli")
	}
	server := start(t, nil)
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), program, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=waxo", "AWS_SECRET_ACCESS_KEY=waxo-secret", "AWS_DEFAULT_REGION=us-east-1",
			"AWS_ENDPOINT_URL=http://"+server.Addr(), "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	data := make([]byte, 20<<20) // in parts, as aws sees it
	for i := range data {
		data[i] = byte(i * i >> 8)
	}
	for name, content := range map[string][]byte{"large": data, "a b+ü": []byte("small")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("s3", "mb", "s3://box")
	run("s3", "sync", ".", "s3://box/dir")
	run("s3", "cp", "s3://box/dir/large", "s3://box/copy")
	run("s3", "mv", "s3://box/dir/a b+ü", "s3://box/moved")
	run("s3", "cp", "s3://box/copy", "back")
	if got := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "back"))); !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back", len(got))
	}
	var names []string
	for line := range strings.Lines(run("s3", "ls", "--recursive", "s3://box")) {
		names = append(names, strings.Join(strings.Fields(line)[2:], " "))
	}
	if want := []string{"20971520 copy", "20971520 dir/large", "5 moved"}; !slices.Equal(names, want) {
		t.Errorf("aws s3 ls = %q", names)
	}
	run("s3", "rb", "--force", "s3://box")
	if out := run("s3", "ls"); out != "" {
		t.Errorf("after rb, aws s3 ls = %q", out)
	}
}
