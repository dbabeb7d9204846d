package eventstreams_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
)

// TestForget: what has the prefix is gone, what has another is not.
func TestForget(t *testing.T) {
	url, ctx := start(t, nil).URL(), t.Context()
	for _, prefix := range []string{"mine", "other"} {
		p := bind(t, url, nil, nil, map[string]string{"prefix": prefix})
		mustWrite(t, p, "s", "v")
		if err := p.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := eventstreams.Forget(ctx, map[string]string{"url": url, "prefix": "mine", "concurrency": "1"}); err != nil {
			t.Error(err)
		}
	}
	js := client(t, url)
	if _, err := js.Stream(ctx, "WAXO_EVENTS_mine"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("what was to be forgotten: %v", err)
	}
	if _, err := js.Stream(ctx, "WAXO_EVENTS_other"); err != nil {
		t.Errorf("what has another prefix: %v", err)
	}
	for _, config := range []map[string]string{{"url": url}, {"url": url, "prefix": ""}, {"url": url, "prefix": "a b"}} {
		is(t, eventstreams.Forget(ctx, config), capability.CodeInvalid, "prefix")
	}
}
