package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
)

func storeCommands() []command {
	return []command{
		{Command: script.Command{
			Name: "kv", Args: "get KEY | set KEY VALUE [SECONDS] | del KEY | add KEY NUMBER | push KEY VALUE... | range KEY | sadd KEY VALUE... | members KEY",
			Short: "Reads and writes the guest's key-value store: values, lists and sets.",
			Long: "`get` writes the value, `add` the sum, `range` and `members` JSON to stdout; `get` fails where there is no such key. " +
				"VALUE may be @FILE. For another binding than the default one, and for all other operations, there is `provider`.",
			Example: "kv set count 41\nhttp POST /\nkv get count\nstdout '^42$'\nkv push list one two\nkv range list\njson [1] two\n! kv get nothing",
		}, run: runKV},
		{Command: script.Command{
			Name: "blob", Args: "create CONTAINER | put CONTAINER NAME TEXT|@FILE | get CONTAINER NAME [FILE] | list CONTAINER | info CONTAINER NAME | remove CONTAINER [NAME]",
			Short:   "Reads and writes the guest's blob store.",
			Long:    "`get` writes the blob to stdout, or into FILE; `list` and `info` write JSON.",
			Example: "blob create pictures\nblob put pictures one.txt 'first light'\nblob list pictures\njson [0].id one.txt\nblob get pictures one.txt\nstdout 'first light'",
		}, run: runBlob},
		{Command: script.Command{
			Name: "events", Args: "write STREAM KEY=VALUE... | read STREAM [COUNT]",
			Short:   "Writes an event to a stream of the guest's, or reads those that are there as JSON.",
			Example: "events write orders id=1 item=tea\nevents read orders\njson .# 1\njson [0].values.item tea",
		}, run: runEvents},
	}
}

// verb takes the verb of a command that has some.
func (c *call) verb() (string, []string, error) {
	if len(c.args) == 0 {
		return "", nil, usagef("a verb is missing")
	}
	return c.args[0], c.args[1:], nil
}

// perform asks the default binding of a capability, with messages.
func (s *session) perform(ctx context.Context, id, operation string, request, response registry.Message) error {
	answer, err := s.ask(ctx, id, capability.DefaultBinding, operation, request.AppendProto(nil))
	if err != nil || response == nil {
		return err
	}
	return response.UnmarshalProto(answer)
}

func runKV(ctx context.Context, c *call) error {
	verb, args, err := c.verb()
	if err != nil {
		return err
	}
	counts := map[string][2]int{"get": {1, 1}, "set": {2, 3}, "del": {1, 1}, "add": {2, 2}, "push": {2, -1}, "range": {1, 1}, "sadd": {2, -1}, "members": {1, 1}}
	count, ok := counts[verb]
	if !ok {
		return usagef("%q is none of %s", verb, strings.Join(slices.Sorted(maps.Keys(counts)), ", "))
	}
	if len(args) < count[0] || count[1] >= 0 && len(args) > count[1] {
		return usagef("kv %s has %d arguments", verb, len(args))
	}
	switch verb {
	case "set", "push", "sadd", "add":
		return c.kvWrite(ctx, verb, args)
	}
	return c.kvRead(ctx, verb, args[0])
}

func (c *call) kvRead(ctx context.Context, verb, key string) error {
	switch verb {
	case "get":
		var r keyvaluepb.GetResponse
		if err := c.perform(ctx, capability.KeyValue, capability.OpGet, &keyvaluepb.GetRequest{Key: key}, &r); err != nil {
			return err
		}
		if !r.Exists {
			return fmt.Errorf("there is no key %s", strconv.Quote(key))
		}
		c.print(r.Value)
		return nil
	case "del":
		return c.perform(ctx, capability.KeyValue, capability.OpDel, &keyvaluepb.DelRequest{Key: key}, nil)
	case "range":
		var r keyvaluepb.ListRangeResponse
		if err := c.perform(ctx, capability.KeyValue, capability.OpRange, &keyvaluepb.ListRangeRequest{Key: key, Stop: -1}, &r); err != nil {
			return err
		}
		return c.printList(r.Values)
	}
	var r keyvaluepb.SetQueryResponse
	if err := c.perform(ctx, capability.KeyValue, capability.OpSetQuery, &keyvaluepb.SetQueryRequest{Key: key}, &r); err != nil {
		return err
	}
	slices.Sort(r.Values)
	return c.printList(r.Values)
}

// printList writes texts as a JSON list.
func (c *call) printList(values []string) error {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	c.print(prettyJSON(list))
	return nil
}

func (c *call) kvWrite(ctx context.Context, verb string, args []string) error {
	key := args[0]
	switch verb {
	case "set":
		value, err := c.text(args[1])
		if err != nil {
			return err
		}
		request := &keyvaluepb.SetRequest{Key: key, Value: value}
		if len(args) == 3 {
			seconds, err := strconv.ParseInt(args[2], 10, 32)
			if err != nil {
				return usagef("%q is no number of seconds", args[2])
			}
			request.ExpiresS = int32(seconds)
		}
		return c.perform(ctx, capability.KeyValue, capability.OpSet, request, nil)
	case "add":
		n, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return usagef("%q is no number of 32 bits", args[1])
		}
		var r keyvaluepb.AddResponse
		if err := c.perform(ctx, capability.KeyValue, capability.OpAdd, &keyvaluepb.AddRequest{Key: key, Value: int32(n)}, &r); err != nil {
			return err
		}
		c.print(strconv.Itoa(int(r.Value)))
		return nil
	}
	for _, arg := range args[1:] {
		value, err := c.text(arg)
		if err != nil {
			return err
		}
		if verb == "push" {
			err = c.perform(ctx, capability.KeyValue, capability.OpPush, &keyvaluepb.ListPushRequest{Key: key, Value: value}, nil)
		} else {
			err = c.perform(ctx, capability.KeyValue, capability.OpSetAdd, &keyvaluepb.SetAddRequest{Key: key, Value: value}, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func runBlob(ctx context.Context, c *call) error {
	verb, args, err := c.verb()
	if err != nil {
		return err
	}
	container := &blobstorepb.Container{}
	if len(args) > 0 {
		container.ID = args[0]
	}
	const blobs = capability.Blobstore
	switch n := len(args); {
	case verb == "create" && n == 1:
		return c.perform(ctx, blobs, capability.OpCreateContainer, container, nil)
	case verb == "remove" && n == 1:
		return c.perform(ctx, blobs, capability.OpRemoveContainer, container, nil)
	case verb == "remove" && n == 2:
		return c.perform(ctx, blobs, capability.OpRemoveObject, &blobstorepb.Blob{Container: args[0], ID: args[1]}, nil)
	case verb == "put" && n == 3:
		data, err := c.text(args[2])
		if err != nil {
			return err
		}
		return c.upload(ctx, args[0], args[1], []byte(data))
	case verb == "get" && (n == 2 || n == 3):
		return c.blobGet(ctx, args)
	case verb == "list" && n == 1:
		var r blobstorepb.BlobList
		if err := c.perform(ctx, blobs, capability.OpListObjects, container, &r); err != nil {
			return err
		}
		list := make([]any, len(r.Blobs))
		for i, b := range r.Blobs {
			list[i] = describe(b)
		}
		c.print(prettyJSON(list))
		return nil
	case verb == "info" && n == 2:
		var r blobstorepb.Blob
		if err := c.perform(ctx, blobs, capability.OpGetObjectInfo, &blobstorepb.Blob{Container: args[0], ID: args[1]}, &r); err != nil {
			return err
		}
		if r.ID == "" {
			return fmt.Errorf("there is no blob %s/%s", args[0], args[1])
		}
		c.print(prettyJSON(describe(&r)))
		return nil
	}
	return usagef("%q takes no %d arguments, or is no verb", verb, len(args))
}

func describe(b *blobstorepb.Blob) map[string]any {
	return map[string]any{"container": b.Container, "id": b.ID, "size": json.Number(strconv.FormatUint(b.ByteSize, 10))}
}

// chunkSize is that of the script's own transfers.
const chunkSize = 256 << 10

func (s *session) upload(ctx context.Context, container, id string, data []byte) error {
	begin := &blobstorepb.FileChunk{Container: container, ID: id, TotalBytes: uint64(len(data)), ChunkSize: chunkSize}
	if err := s.perform(ctx, capability.Blobstore, capability.OpStartUpload, begin, nil); err != nil {
		return err
	}
	number := uint64(0)
	for piece := range slices.Chunk(data, chunkSize) {
		chunk := *begin
		chunk.SequenceNo, chunk.ChunkBytes = number, piece
		if err := s.perform(ctx, capability.Blobstore, capability.OpUploadChunk, &chunk, nil); err != nil {
			return err
		}
		number++
	}
	return nil
}

func (c *call) blobGet(ctx context.Context, args []string) error {
	data, err := c.download(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		c.print(string(data))
		return nil
	}
	if err := os.WriteFile(c.ts.MkAbs(args[2]), data, 0o666); err != nil {
		return usage{err}
	}
	return nil
}

// download has a blob brought to the script.
func (s *session) download(ctx context.Context, container, id string) ([]byte, error) {
	s.chunks = newChunks()
	var t blobstorepb.Transfer
	request := &blobstorepb.StreamRequest{Container: container, ID: id, ChunkSize: chunkSize}
	if err := s.perform(ctx, capability.Blobstore, capability.OpStartDownload, request, &t); err != nil {
		return nil, err
	}
	return s.chunks.wait(ctx, t.TotalSize)
}

// chunks are those of a download that is under way.
type chunks struct {
	mu   sync.Mutex
	data []byte
	came chan struct{} // holds one when some came
}

func newChunks() *chunks { return &chunks{came: make(chan struct{}, 1)} }

func (c *chunks) add(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = append(c.data, data...)
	select {
	case c.came <- struct{}{}:
	default: // it is known already
	}
}

// wait waits for so many bytes.
func (c *chunks) wait(ctx context.Context, size uint64) ([]byte, error) {
	for {
		c.mu.Lock()
		data := c.data
		c.mu.Unlock()
		if uint64(len(data)) >= size {
			return data, nil
		}
		select {
		case <-c.came:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d bytes came: %w", len(data), size, ctx.Err())
		}
	}
}

// taker takes what providers have for the script.
type taker func(operation string, payload []byte) error

// Dispatch implements capability.Dispatcher.
func (t taker) Dispatch(_ context.Context, operation string, payload, _ []byte) (capability.Reply, error) {
	return capability.Reply{}, t(operation, payload)
}

// chunkTaker takes the chunks of blobs; nothing else comes to the script's own
// bindings.
func (s *session) chunkTaker(id string) capability.Dispatcher {
	if id != capability.Blobstore {
		return nil
	}
	return taker(func(operation string, payload []byte) error {
		var chunk blobstorepb.FileChunk
		if operation != capability.OpReceiveChunk {
			return errors.New("the script takes no " + operation)
		}
		if err := chunk.UnmarshalProto(payload); err != nil {
			return err
		}
		s.chunks.add(chunk.ChunkBytes)
		return nil
	})
}

func runEvents(ctx context.Context, c *call) error {
	verb, args, err := c.verb()
	if err != nil {
		return err
	}
	switch {
	case verb == "write" && len(args) >= 1:
		values, err := pairs(args[1:])
		if err != nil {
			return err
		}
		var r eventstreampb.WriteResponse
		if err := c.perform(ctx, capability.EventStreams, capability.OpWriteEvent, &eventstreampb.Event{Stream: args[0], Values: values}, &r); err != nil {
			return err
		}
		c.print(r.EventID)
		return nil
	case verb == "read" && (len(args) == 1 || len(args) == 2):
		return c.eventsRead(ctx, args)
	}
	return usagef("%q takes no %d arguments, or is no verb", verb, len(args))
}

func (c *call) eventsRead(ctx context.Context, args []string) error {
	query := &eventstreampb.StreamQuery{StreamID: args[0]}
	if len(args) == 2 {
		count, err := strconv.ParseUint(args[1], 10, 32)
		if err != nil {
			return usagef("%q is no number of events", args[1])
		}
		query.Count = count
	}
	var r eventstreampb.StreamResults
	if err := c.perform(ctx, capability.EventStreams, capability.OpQueryStream, query, &r); err != nil {
		return err
	}
	list := make([]any, len(r.Events))
	for i, e := range r.Events {
		values := make(map[string]any)
		for k, v := range e.Values {
			values[k] = v
		}
		list[i] = map[string]any{"id": e.EventID, "stream": e.Stream, "values": values}
	}
	c.print(prettyJSON(list))
	return nil
}
