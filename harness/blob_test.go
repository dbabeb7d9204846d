package harness_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/harness"
)

var blobMiB = flag.Int("blob", 72, "size in MiB of the blob that TestLargeBlob carries")

// TestLargeBlob: a guest that may have 64 MiB of memory carries a larger blob in
// and out, on either kind of store, and its bytes are the same. With 1 GiB:
//
//	go test ./harness -run TestLargeBlob -blob 1024 -timeout 1h -v
func TestLargeBlob(t *testing.T) {
	t.Parallel()
	dir := projectOf(t, "testdata/carrier")
	for _, providers := range []string{manifest.ProviderEmbedded, manifest.ProviderContainer} {
		t.Run(providers, func(t *testing.T) {
			if providers == manifest.ProviderContainer {
				needEngine(t)
			}
			g := harness.Start(t, &harness.Options{Project: dir, Providers: providers})
			must(t, g.Compiled(t.Context())) // a call that begins interpreted stays so, and is very slow
			begun := time.Now()
			status, in := fetch(t, "POST", g.URL()+fmt.Sprintf("/in/%d", *blobMiB<<20))
			if status != http.StatusOK {
				t.Fatalf("in: %d %s", status, in)
			}
			stored := time.Since(begun)
			if status, body := fetch(t, "POST", g.URL()+"/out"); status != http.StatusAccepted {
				t.Fatalf("out: %d %s", status, body)
			}
			out := await(t, g.URL()+"/out")
			if in != out {
				t.Errorf("%s went in, and %s came out", in, out)
			}
			t.Logf("%d MiB in after %v, out after %v", *blobMiB, stored, time.Since(begun)-stored)
		})
	}
}

// fetch makes a request without a body.
func fetch(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(content)
}

// await asks until the answer is there.
func await(t *testing.T, url string) string {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("nothing came")
		}
		switch status, body := fetch(t, "GET", url); status {
		case http.StatusOK:
			return body
		case http.StatusAccepted:
		default:
			t.Fatalf("%d %s", status, body)
		}
	}
}
