package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

func fields(text string) []string { return strings.Fields(text) }

// messages reads the .proto files of a folder, but for that of plugins, which no
// guest sees.
func messages(dir string) (map[string]protoreflect.MessageDescriptor, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".proto" && e.Name() != "provider.proto" {
			names = append(names, e.Name())
		}
	}
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{dir}}}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	all := make(map[string]protoreflect.MessageDescriptor)
	for _, f := range files {
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			all[string(m.FullName())] = m
		}
	}
	return all, nil
}

// messageVectors encodes each value of the table with protobuf-go.
func messageVectors(dir string) ([]vectors.Message, error) {
	known, err := messages(dir)
	if err != nil {
		return nil, err
	}
	var list []vectors.Message
	shown := make(map[string]bool)
	for _, v := range messageValues() {
		m := known[v.message]
		if m == nil {
			return nil, fmt.Errorf("there is no message %s", v.message)
		}
		shown[v.message] = true
		dynamic := dynamicpb.NewMessage(m)
		if err := protojson.Unmarshal([]byte(v.json), dynamic); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", v.message, v.json, err)
		}
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(dynamic)
		if err != nil {
			return nil, err
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(v.json)); err != nil {
			return nil, err
		}
		list = append(list, vectors.Message{Vector: vector(v.message+": "+v.name, v.rules), Message: v.message, JSON: compact.Bytes(), Wire: hex.EncodeToString(wire)})
	}
	for name := range known {
		if !shown[name] {
			return nil, fmt.Errorf("no vector shows the message %s", name)
		}
	}
	return list, nil
}

// messageValue is a message in JSON.
type messageValue struct{ message, name, rules, json string }

const plain = "PAY-1 PAY-4"

func messageValues() []messageValue {
	all := append(httpValues(), keyValueValues()...)
	all = append(all, messagingValues()...)
	all = append(all, blobValues()...)
	return append(all, otherValues()...)
}

// odd is text that is awkward to carry.
const odd = `key\u0000 \r\n\"\\\u2028 世界 🙂`

func httpValues() []messageValue {
	return []messageValue{
		{"http.Request", "nothing", "PAY-1 PAY-3 PAY-10", `{}`},
		{"http.Request", "everything", plain, `{"method":"POST","path":"/a%20b","query_string":"x=1&y=2","header":{"Accept":"*/*","Content-Type":"text/plain","Host":"example.com"},"body":"aGVsbG8="}`},
		{"http.Request", "text that is awkward", "PAY-2", `{"method":"` + odd + `","path":"é","header":{"` + odd + `":"` + odd + `"}}`},
		{"http.Request", "headers sorted by their bytes", "PAY-4", `{"header":{"Z":"1","a":"2","B":"3","é":"4","":"5","AA":"6"}}`},
		{"http.Request", "empty header value", "PAY-1", `{"header":{"X":""}}`},
		{"http.Request", "a body of every byte", "PAY-1", `{"body":"` + everyByte() + `"}`},
		{"http.Response", "nothing", "PAY-3 PAY-10", `{}`},
		{"http.Response", "everything", plain, `{"status_code":404,"status":"Not Found","header":{"Content-Type":"text/html"},"body":"PGgxPm5vPC9oMT4="}`},
		{"http.Response", "the largest status", "PAY-1", `{"status_code":4294967295}`},
		{"http.Response", "a status of two bytes", "PAY-1", `{"status_code":128}`},
		{"http.Response", "a body of 200 bytes", "PAY-1", `{"body":"` + strings.Repeat("AAEC", 66) + `AAE="}`},
	}
}

func everyByte() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	text, _ := json.Marshal(b)
	return strings.Trim(string(text), `"`)
}

func keyValueValues() []messageValue {
	list := []messageValue{
		{"keyvalue.GetRequest", "awkward key", "PAY-2", `{"key":"` + odd + `"}`},
		{"keyvalue.GetResponse", "a value", plain, `{"value":"v","exists":true}`},
		{"keyvalue.GetResponse", "an empty value", "PAY-3", `{"exists":true}`},
		{"keyvalue.GetResponse", "no key", "PAY-10", `{}`},
		{"keyvalue.SetRequest", "with an expiry", plain, `{"key":"k","value":"v","expires_s":60}`},
		{"keyvalue.SetRequest", "the longest expiry", "PAY-1", `{"key":"k","value":"v","expires_s":2147483647}`},
		{"keyvalue.SetRequest", "a negative expiry", "PAY-5", `{"key":"k","value":"v","expires_s":-1}`},
		{"keyvalue.AddRequest", "a positive number", plain, `{"key":"n","value":300}`},
		{"keyvalue.AddRequest", "a negative number", "PAY-5", `{"key":"n","value":-7}`},
		{"keyvalue.AddRequest", "the smallest number", "PAY-5", `{"key":"n","value":-2147483648}`},
		{"keyvalue.AddResponse", "the largest number", "PAY-1", `{"value":2147483647}`},
		{"keyvalue.AddResponse", "zero", "PAY-3 PAY-10", `{}`},
		{"keyvalue.ListRangeRequest", "the whole list", "PAY-5", `{"key":"l","stop":-1}`},
		{"keyvalue.ListRangeRequest", "the middle", plain, `{"key":"l","start":1,"stop":5}`},
		{"keyvalue.ListRangeResponse", "items, one of them empty", "PAY-1", `{"values":["a","","a","b"]}`},
		{"keyvalue.ListRangeResponse", "none", "PAY-10", `{}`},
		{"keyvalue.SetQueryResponse", "members", "PAY-1", `{"values":["10","9","a"]}`},
	}
	for _, m := range fields("GetRequest DelRequest DelResponse ListClearRequest SetQueryRequest KeyExistsQuery") {
		list = append(list, messageValue{"keyvalue." + m, "a key", plain, `{"key":"k"}`})
	}
	for _, m := range fields("ListPushRequest ListDelItemRequest SetAddRequest SetRemoveRequest") {
		list = append(list, messageValue{"keyvalue." + m, "key and value", plain, `{"key":"k","value":"v"}`},
			messageValue{"keyvalue." + m, "an empty value", "PAY-3", `{"key":"k"}`})
	}
	for _, m := range fields("ListResponse SetOperationResponse") {
		list = append(list, messageValue{"keyvalue." + m, "a count", plain, `{"new_count":1000}`})
	}
	for _, m := range fields("SetUnionRequest SetIntersectionRequest") {
		list = append(list, messageValue{"keyvalue." + m, "keys", "PAY-1", `{"keys":["s","","t"]}`})
	}
	return append(list, messageValue{"keyvalue.SetResponse", "a value", plain, `{"value":"v"}`})
}

func messagingValues() []messageValue {
	return []messageValue{
		{"messaging.BrokerMessage", "everything", plain, `{"subject":"a.b","reply_to":"_INBOX.1","body":"AP8="}`},
		{"messaging.DeliverMessage", "a message", plain, `{"message":{"subject":"a.b","body":"aGVsbG8="}}`},
		{"messaging.DeliverMessage", "an empty message", "PAY-1", `{"message":{}}`},
		{"messaging.DeliverMessage", "no message", "PAY-10", `{}`},
		{"messaging.PublishMessage", "a message, in field 2", plain, `{"message":{"subject":"a.b","reply_to":"c","body":"aGVsbG8="}}`},
		{"messaging.RequestMessage", "with a time-out", plain, `{"subject":"a.b","body":"aGVsbG8=","timeout_ms":"5000"}`},
		{"messaging.RequestMessage", "the longest time-out", "PAY-1", `{"subject":"a","timeout_ms":"9223372036854775807"}`},
		{"messaging.RequestMessage", "a negative time-out", "PAY-1", `{"subject":"a","timeout_ms":"-1"}`},
	}
}

func blobValues() []messageValue {
	return []messageValue{
		{"blobstore.Container", "an id", plain, `{"id":"box"}`},
		{"blobstore.ContainerList", "two, and one without an id", "PAY-1", `{"containers":[{"id":"a"},{},{"id":"b"}]}`},
		{"blobstore.Blob", "everything", plain, `{"id":"k","container":"box","byte_size":"5000000000"}`},
		{"blobstore.Blob", "the largest size", "PAY-1", `{"id":"k","container":"box","byte_size":"18446744073709551615"}`},
		{"blobstore.Blob", "no such blob", "PAY-10", `{}`},
		{"blobstore.BlobList", "two", "PAY-1", `{"blobs":[{"id":"a","container":"box","byte_size":"1"},{"id":"b","container":"box"}]}`},
		{"blobstore.FileChunk", "everything", plain, `{"sequence_no":"2","container":"box","id":"k","total_bytes":"300","chunk_size":"128","chunk_bytes":"AQID"}`},
		{"blobstore.FileChunk", "the first chunk", "PAY-3", `{"container":"box","id":"k","total_bytes":"3","chunk_size":"3","chunk_bytes":"AQID"}`},
		{"blobstore.StreamRequest", "everything", plain, `{"id":"k","container":"box","chunk_size":"524288"}`},
		{"blobstore.Transfer", "everything", plain, `{"blob_id":"k","container":"box","chunk_size":"2","total_size":"5","total_chunks":"3"}`},
	}
}

func otherValues() []messageValue {
	return []messageValue{
		{"eventstream.Event", "everything", plain, `{"event_id":"7","stream":"s","values":{"a":"1","b":"2"}}`},
		{"eventstream.Event", "empty names and values", "PAY-1", `{"stream":"s","values":{"":"","x":""}}`},
		{"eventstream.WriteResponse", "an id", plain, `{"event_id":"7"}`},
		{"eventstream.TimeRange", "both ends", plain, `{"min_time":"1700000000000","max_time":"18446744073709551615"}`},
		{"eventstream.StreamQuery", "everything", plain, `{"stream_id":"s","range":{"min_time":"1","max_time":"2"},"count":"10"}`},
		{"eventstream.StreamQuery", "an empty range", "PAY-1", `{"stream_id":"s","range":{}}`},
		{"eventstream.StreamResults", "events, in field 2", plain, `{"events":[{"event_id":"1","stream":"s"},{"event_id":"2","stream":"s","values":{"k":"v"}}]}`},
		{"extras.GeneratorRequest", "a GUID", "PAY-1", `{"gentype":"GUID"}`},
		{"extras.GeneratorRequest", "a random number", plain, `{"gentype":"RANDOM","min":1,"max":4294967295}`},
		{"extras.GeneratorRequest", "nothing", "PAY-10", `{}`},
		{"extras.GeneratorRequest", "a type that nobody knows", "PAY-19", `{"gentype":7}`},
		{"extras.GeneratorResult", "a GUID", "PAY-1", `{"guid":"c0ffee00-0000-4000-8000-000000000000"}`},
		{"extras.GeneratorResult", "the first sequence number is written", "PAY-1", `{"sequence_no":"0"}`},
		{"extras.GeneratorResult", "a sequence number", "PAY-1", `{"sequence_no":"18446744073709551615"}`},
		{"extras.GeneratorResult", "a random number", "PAY-1", `{"random_no":4294967295}`},
		{"extras.GeneratorResult", "an empty text is written", "PAY-1", `{"guid":""}`},
		{"extras.GeneratorResult", "none", "PAY-10", `{}`},
		{"logging.WriteLogRequest", "everything", plain, `{"actor":"a","level":5,"body":"` + odd + `"}`},
		{"clock.NowRequest", "nothing", "PAY-10", `{}`},
		{"clock.NowResponse", "a time", plain, `{"unix_nanos":"1772366400123456789"}`},
		{"clock.NowResponse", "before 1970", "PAY-1", `{"unix_nanos":"-1"}`},
		{"core.HealthRequest", "as it is sent", "PAY-10", `{}`},
		{"core.HealthRequest", "everything", "PAY-1", `{"placeholder":true}`},
		{"core.LiveUpdate", "a module", "PAY-1", `{"new_module":"AGFzbQEAAAA="}`},
		{"core.EmptyMessage", "nothing", "PAY-10", `{}`},
		{"core.CapabilityConfiguration", "everything", plain, `{"module":"MABC","values":{"PORT":"8080","URL":""}}`},
	}
}
