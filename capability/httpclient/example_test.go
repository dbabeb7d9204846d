package httpclient_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func Example() {
	ctx := context.Background()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello, ", r.URL.Query().Get("name"))
	}))
	defer server.Close()

	p := httpclient.New(nil)
	defer p.Close(ctx)
	id := capability.BindingID{Guest: "M...", Name: capability.DefaultBinding}
	config := map[string]string{"allow": strings.TrimPrefix(server.URL, "http://")}
	if err := p.Bind(ctx, capability.Binding{BindingID: id, Config: config}, nil); err != nil {
		panic(err)
	}
	for _, url := range []string{server.URL, "http://169.254.169.254/latest"} {
		req := httppb.Request{Method: "GET", Path: url, QueryString: "name=guest"}
		answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: req.AppendProto(nil)})
		if err != nil {
			fmt.Println(err)
			continue
		}
		var resp httppb.Response
		if err := resp.UnmarshalProto(answer); err != nil {
			panic(err)
		}
		fmt.Println(resp.StatusCode, string(resp.Body))
	}
	// Output:
	// 200 hello, guest
	// denied: the guest may not reach 169.254.169.254 (port 80), which is not in the allow-list; to let it, add "169.254.169.254:80" to allow of the [[bind]] of wascap:http_client in waxo.toml
}
