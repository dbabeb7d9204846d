// The guest of the benchmarks of providers: each of its operations makes one host
// call, or those for one blob.
package main

import (
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/msg"
)

func init() {
	for operation, perform := range map[string]func(payload []byte) error{
		"Get":     func(key []byte) error { _, _, err := kv.Get(string(key)); return err },
		"Publish": func(body []byte) error { return msg.Publish("benchmark", body) },
		"Request": func(body []byte) error { _, err := msg.Request("echo", body, 0); return err },
		"Info":    func(id []byte) error { _, _, err := blob.Info("benchmark", string(id)); return err },
		"Upload":  upload,
		"Write":   func([]byte) error { _, err := events.Write("benchmark", event); return err },
		"Fetch":   func(url []byte) error { _, err := http.Get(string(url)); return err },
	} {
		waxo.Handle("bench:calls!"+operation, func(payload []byte) ([]byte, error) { return nil, perform(payload) })
	}
}

func main() {}

var (
	event = map[string]string{"name": "value", "other": "of some more length"}
	chunk = make([]byte, blob.DefaultChunkSize)
)

// upload stores a blob of 4 MiB.
func upload(id []byte) error {
	const size = 4 << 20
	w, err := blob.Upload("benchmark", string(id), size)
	for sent := 0; err == nil && sent < size; sent += len(chunk) {
		_, err = w.Write(chunk)
	}
	if err != nil {
		return err
	}
	return w.Close()
}
