// A guest that uses every operation of every capability: it answers a route for
// each capability with a transcript, whose lines begin with the operation.
package main

import (
	"errors"
	"strconv"
	"strings"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/msg"
)

func init() {
	var r http.Router
	r.Handle("POST /http_server/{part}", httpServer)
	r.Handle("GET /http_client", written(httpClient))
	r.Handle("GET /keyvalue", written(keyValue))
	r.Handle("GET /messaging", written(messaging))
	r.Handle("GET /blobstore", written(blobstore))
	r.Handle("GET /blobstore/download", written(download))
	r.Handle("GET /blobstore/tidy", written(tidy))
	r.Handle("GET /eventstreams", written(eventStreams))
	r.Handle("GET /logging", written(logging))
	r.Handle("GET /extras", written(extrasRoute))
	r.Handle("GET /clock", written(clockRoute))
	r.Handle("GET /delivered", delivered)
	r.Handle("POST /health/{state}", setHealth)
	http.Handle(r.Serve)
	msg.Handle(takeMessage)
	events.Handle(takeEvent)
	blob.OnChunk(takeChunk)
	waxo.OnHealth(health)
}

func main() {}

// transcript is what was done and what came of it.
type transcript struct{ strings.Builder }

// did writes a line: the operation, what it was given, and what it returned.
func (t *transcript) did(operation, given string, returned ...any) {
	t.WriteString(operation + " " + given + " =")
	for _, r := range returned {
		t.WriteString(" " + text(r))
	}
	t.WriteString("\n")
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "ok"
	case error:
		return "error " + v.Error()
	case string:
		return strconv.Quote(v)
	case []byte:
		return strconv.Quote(string(v))
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int32:
		return strconv.Itoa(int(v))
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, " ") + "]"
	}
	panic("there is no text for such a value")
}

// written answers a request with a transcript.
func written(perform func(*transcript, *http.Request)) http.Handler {
	return func(r *http.Request) (*http.Response, error) {
		var t transcript
		perform(&t, r)
		return http.Text(200, t.String()), nil
	}
}

// What is delivered is noted in a list, in which any instance finds it.
const deliveries = "deliveries"

func note(operation, given string) error {
	_, err := kv.ListPush(deliveries, operation+" "+given+"\n")
	return err
}

// delivered answers what was delivered since it was asked for the last time, once
// that is as much as the parameter n says; until then the status is 202.
func delivered(r *http.Request) (*http.Response, error) {
	lines, err := kv.ListRange(deliveries, 0, -1)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(r.Query().Get("n")); err != nil || len(lines) < n {
		return http.Text(202, strings.Join(lines, "")), err
	}
	return http.Text(200, strings.Join(lines, "")), kv.ListClear(deliveries)
}

const unwell = "unwell"

func setHealth(r *http.Request) (*http.Response, error) {
	if r.PathValue("state") == unwell {
		return http.Text(200, ""), kv.Set(unwell, "as it was told")
	}
	return http.Text(200, ""), kv.Delete(unwell)
}

func health() error {
	reason, ok, err := kv.Get(unwell)
	if err != nil || !ok {
		return nil // it is asked before it has its store, too
	}
	return errors.New(unwell + " " + reason)
}
