package guestsuite

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// TestWorld has the services answer: "capability Operation request" and what comes
// of it, in this order, in one world.
func TestWorld(t *testing.T) {
	w := newWorld()
	for _, step := range []struct{ call, want string }{
		{`keyvalue Get {"key": "a"}`, `{}`},
		{`keyvalue Set {"key": "a", "value": "1"}`, `{"value":"1"}`},
		{`keyvalue Get {"key": "a"}`, `{"value":"1","exists":true}`},
		{`keyvalue Add {"key": "a", "value": -3}`, `{"value":-2}`},
		{`keyvalue Add {"key": "b", "value": 2147483647}`, `{"value":2147483647}`},
		{`keyvalue Add {"key": "b", "value": 1}`, `out_of_range: `},
		{`keyvalue Set {"key": "c", "value": "x"}`, `{"value":"x"}`},
		{`keyvalue Add {"key": "c", "value": 1}`, `wrong_kind: `},
		{`keyvalue Set {"key": "c", "expires_s": -1}`, `invalid: `},
		{`keyvalue KeyExists {"key": "c"}`, `{"exists":true}`},
		{`keyvalue Del {"key": "c"}`, `{"key":"c"}`},
		{`keyvalue KeyExists {"key": "c"}`, `{}`},
		{`keyvalue Push {"key": "l", "value": "x"}`, `{"new_count":1}`},
		{`keyvalue Push {"key": "l", "value": "y"}`, `{"new_count":2}`},
		{`keyvalue Push {"key": "l", "value": "x"}`, `{"new_count":3}`},
		{`keyvalue Range {"key": "l", "start": 1, "stop": -1}`, `{"values":["y","x"]}`},
		{`keyvalue Range {"key": "l", "start": -9, "stop": 0}`, `{"values":["x"]}`},
		{`keyvalue Range {"key": "l", "start": 2, "stop": 1}`, `{}`},
		{`keyvalue Get {"key": "l"}`, `wrong_kind: `},
		{`keyvalue ListItemDelete {"key": "l", "value": "x"}`, `{"new_count":1}`},
		{`keyvalue Clear {"key": "l"}`, `{}`},
		{`keyvalue KeyExists {"key": "l"}`, `{}`},
		{`keyvalue SetAdd {"key": "s", "value": "x"}`, `{"new_count":1}`},
		{`keyvalue SetAdd {"key": "s", "value": "y"}`, `{"new_count":2}`},
		{`keyvalue SetAdd {"key": "t", "value": "y"}`, `{"new_count":1}`},
		{`keyvalue SetQuery {"key": "s"}`, `{"values":["x","y"]}`},
		{`keyvalue SetUnion {"keys": ["t", "s"]}`, `{"values":["x","y"]}`},
		{`keyvalue SetIntersection {"keys": ["s", "t"]}`, `{"values":["y"]}`},
		{`keyvalue SetIntersection {"keys": ["s", "none"]}`, `{}`},
		{`keyvalue SetUnion {}`, `invalid: `},
		{`keyvalue SetRemove {"key": "t", "value": "y"}`, `{}`},
		{`keyvalue KeyExists {"key": "t"}`, `{}`},

		{`messaging Publish {"message": {"subject": "a"}}`, ``},
		{`messaging Request {"subject": "a"}`, `reply`},
		{`logging WriteLog {"level": 3, "body": "x"}`, ``},
		{`extras RequestGuid {}`, `{"guid":"00000000-0000-4000-8000-000000000001"}`},
		{`extras RequestSequence {}`, `{"sequence_no":"1"}`},
		{`extras RequestRandom {"min": 5, "max": 8}`, `{"random_no":6}`},
		{`extras RequestRandom {"min": 5, "max": 5}`, `invalid: `},
		{`http_client PerformRequest {"path": "https://example.com/"}`, `{"status_code":200,`},
		{`http_client PerformRequest {"path": "/"}`, `invalid: `},
		{`eventstreams WriteEvent {"stream": "s", "values": {"a": "b"}}`, `{"event_id":"1"}`},
		{`eventstreams WriteEvent {"stream": "s"}`, `{"event_id":"2"}`},
		{`eventstreams WriteEvent {}`, `invalid: `},
		{`eventstreams QueryStream {"stream_id": "s", "count": "1"}`, `{"events":[{"event_id":"1","stream":"s","values":{"a":"b"}}]}`},

		{`blobstore CreateContainer {"id": "c"}`, `{"id":"c"}`},
		{`blobstore CreateContainer {}`, `invalid: `},
		{`blobstore ListObjects {"id": "d"}`, `not_found: `},
		{`blobstore StartUpload {"container": "d", "id": "b", "total_bytes": "3", "chunk_size": "2"}`, `not_found: `},
		{`blobstore StartUpload {"container": "c", "id": "b", "total_bytes": "3"}`, `invalid: `},
		{`blobstore StartUpload {"container": "c", "id": "b", "total_bytes": "3", "chunk_size": "2"}`, `{"blob_id":"b","container":"c","chunk_size":"2","total_size":"3","total_chunks":"2"}`},
		{`blobstore UploadChunk {"container": "c", "id": "b", "chunk_bytes": "YQ=="}`, `invalid: `},
		{`blobstore UploadChunk {"container": "c", "id": "b", "chunk_bytes": "YWI="}`, ``},
		{`blobstore GetObjectInfo {"container": "c", "id": "b"}`, `{}`},
		{`blobstore UploadChunk {"container": "c", "id": "b", "sequence_no": "1", "chunk_bytes": "Yw=="}`, ``},
		{`blobstore UploadChunk {"container": "c", "id": "b"}`, `not_found: `},
		{`blobstore GetObjectInfo {"container": "c", "id": "b"}`, `{"id":"b","container":"c","byte_size":"3"}`},
		{`blobstore StartUpload {"container": "c", "id": "empty"}`, `{"blob_id":"empty","container":"c"}`},
		{`blobstore ListObjects {"id": "c"}`, `{"blobs":[{"id":"b","container":"c","byte_size":"3"},{"id":"empty","container":"c"}]}`},
		{`blobstore StartDownload {"container": "c", "id": "b", "chunk_size": "2"}`, `{"blob_id":"b","container":"c","chunk_size":"2","total_size":"3","total_chunks":"2"}`},
		{`blobstore StartDownload {"container": "c", "id": "x"}`, `not_found: `},
		{`blobstore RemoveContainer {"id": "c"}`, `conflict: `},
		{`blobstore RemoveObject {"container": "c", "id": "b"}`, ``},
		{`blobstore RemoveObject {"container": "c", "id": "empty"}`, ``},
		{`blobstore RemoveContainer {"id": "c"}`, ``},

		{`keyvalue Nothing {}`, `unsupported: `},
		{`http_server HandleRequest {}`, `unsupported: `},
	} {
		words := strings.SplitN(step.call, " ", 3)
		if got := perform(t, w, "wascap:"+words[0], words[1], words[2]); got != step.want && (step.want == "" || !strings.HasPrefix(got, step.want)) {
			t.Errorf("%s: %s, want %s", step.call, got, step.want)
		}
	}
	var chunks []string
	for _, d := range w.deliveries {
		m := d.op.Request()
		if err := m.UnmarshalProto(d.payload); err != nil {
			t.Fatal(err)
		}
		text, err := registry.MarshalJSON(m)
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, d.op.Name+string(text))
	}
	want := `[ReceiveChunk{"container":"c","id":"b","total_bytes":"3","chunk_size":"2","chunk_bytes":"YWI="} ` +
		`ReceiveChunk{"sequence_no":"1","container":"c","id":"b","total_bytes":"3","chunk_size":"2","chunk_bytes":"Yw=="}]`
	if got := fmt.Sprint(chunks); got != want {
		t.Errorf("the download brings %s, want %s", got, want)
	}
}

// perform gives the answer as JSON where it is a message, or the error's text.
func perform(t *testing.T, w *world, id, operation, request string) string {
	t.Helper()
	var payload []byte
	o, known := registry.Lookup(id, operation)
	if known {
		m := o.Request()
		if err := registry.UnmarshalJSON([]byte(request), m); err != nil {
			t.Fatal(err)
		}
		payload = m.AppendProto(nil)
	}
	answer, err := w.perform(id, operation, payload)
	if err != nil {
		return err.Error()
	}
	if !known || o.Response == nil {
		return string(answer)
	}
	m := o.Response()
	if err := m.UnmarshalProto(answer); err != nil {
		t.Fatal(err)
	}
	text, err := registry.MarshalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWorldsAreAlike(t *testing.T) {
	for range 2 {
		w := newWorld()
		if got := perform(t, w, capability.Clock, capability.OpNow, "{}"); got != `{"unix_nanos":"1577836800001000000"}` {
			t.Errorf("the first look at the clock shows %s", got)
		}
		if got, err := w.perform("acme:metrics", "Count", []byte("x")); err != nil || got != nil {
			t.Errorf("a vendor's operation: %q, %v", got, err)
		}
		if _, err := w.perform(capability.KeyValue, capability.OpGet, []byte{0x0a}); err == nil || !strings.HasPrefix(err.Error(), "invalid: ") {
			t.Errorf("a payload that cannot be decoded: %v", err)
		}
	}
}
