package httpclient_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/cputime"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// BenchmarkPerform has callers get 1 KiB of a server in this process, in turns
// through the provider and through a bare client, and reports what each of them
// costs, the server included.
func BenchmarkPerform(b *testing.B) {
	text := strings.Repeat("x", 1024)
	server := serve(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
	p := bind(b, nil, map[string]string{"allow": "*, 127.0.0.1"})
	request := (&httppb.Request{Method: "GET", Path: server.URL + "/path", Header: map[string]string{"Accept": "text/plain"}}).AppendProto(nil)
	bare := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	defer bare.CloseIdleConnections()
	const callers, each = 16, 100
	all := func(one func(into []byte) error) func() {
		return func() {
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					into := make([]byte, 0, 4096)
					for range each {
						if err := one(into); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		}
	}
	provider := all(func(into []byte) error {
		_, err := p.Call(b.Context(), capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: request, Into: into})
		return err
	})
	client := all(func([]byte) error {
		req, err := http.NewRequestWithContext(b.Context(), "GET", server.URL+"/path", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "text/plain")
		resp, err := bare.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	})
	var ours, theirs cputime.Meter
	for b.Loop() {
		ours.Round(b, callers*each, provider)
		theirs.Round(b, callers*each, client)
	}
	ours.Report(b, "provider", &theirs, "client")
}
