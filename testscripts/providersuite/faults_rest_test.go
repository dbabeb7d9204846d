package providersuite

import (
	"context"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	blobpb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
	eventpb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
	extraspb "github.com/waxosuit/waxo/capability/payload/extraspb"
	logpb "github.com/waxosuit/waxo/capability/payload/loggingpb"
)

func eventFaults() []fault {
	evt := capability.EventStreams
	return []fault{
		{"an event on which the guest fails is lost", evt, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				reply, _ := d.pass(d.payload)
				return reply, nil
			}}
		}, []string{"EVT-12", "EVT-11"}, nil},
		{"the end of a range is left out", evt, asks(capability.OpQueryStream, func(r *eventpb.StreamQuery) {
			if r.Range != nil && r.Range.MaxTime > r.Range.MinTime {
				r.Range.MaxTime--
			}
		}), []string{"EVT-4"}, nil},
		{"the begin of a range is left out", evt, asks(capability.OpQueryStream, func(r *eventpb.StreamQuery) {
			if r.Range != nil && r.Range.MinTime > 0 && (r.Range.MinTime < r.Range.MaxTime || r.Range.MaxTime == 0) {
				r.Range.MinTime++
			}
		}), []string{"EVT-4"}, nil},
		{"ranges are of seconds", evt, asks(capability.OpQueryStream, func(r *eventpb.StreamQuery) {
			if r.Range != nil && r.Range.MinTime <= r.Range.MaxTime {
				r.Range.MinTime, r.Range.MaxTime = r.Range.MinTime/1000*1000, r.Range.MaxTime/1000*1000
			}
		}), []string{"EVT-4"}, []string{"EVT-7"}},
		{"count is ignored", evt, asks(capability.OpQueryStream, func(r *eventpb.StreamQuery) { r.Count = 0 }), []string{"EVT-5"}, []string{"EVT-4"}},
		{"the newest are counted", evt, newest, []string{"EVT-5"}, []string{"EVT-4"}},
		{"a range that ends before it begins is empty", evt, fails(capability.CodeInvalid, func(_ capability.Call, err error) ([]byte, error) {
			if strings.Contains(err.Error(), "before it begins") {
				return nil, nil
			}
			return nil, err
		}), []string{"EVT-7"}, nil},
		{"ids are those of the guest", evt, exchanges(capability.OpWriteEvent, func(r *eventpb.WriteResponse, q *eventpb.Event) {
			if q.EventID != "" {
				r.EventID = q.EventID
			}
		}), []string{"EVT-1"}, nil},
		{"ids become smaller", evt, answers(capability.OpWriteEvent, func(r *eventpb.WriteResponse) { r.EventID = "1" + strings.Repeat("0", 20-2*len(r.EventID)) + r.EventID }),
			[]string{"EVT-2"}, []string{"EVT-1", "EVT-3", "EVT-4", "EVT-5", "EVT-6", "EVT-8", "EVT-9", "EVT-11", "EVT-12", "EVT-13", "CAP-33", "CAP-48", "PAY-15", "PAY-16"}},
		{"events come backwards", evt, answers(capability.OpQueryStream, func(r *eventpb.StreamResults) {
			for i, j := 0, len(r.Events)-1; i < j; i, j = i+1, j-1 {
				r.Events[i], r.Events[j] = r.Events[j], r.Events[i]
			}
		}), []string{"EVT-3"}, []string{"EVT-2", "EVT-4", "EVT-5", "EVT-9", "CAP-48"}},
		{"a stream of nothing does not exist", evt, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if c.Operation == capability.OpQueryStream && err == nil && len(answer) == 0 {
				return nil, &capability.Error{Code: capability.CodeNotFound, Message: "there is no such stream"}
			}
			return answer, err
		}), []string{"EVT-6"}, []string{"EVT-4", "CAP-33", "CAP-34", "CAP-302", "CAP-301", "CAP-41", "CAP-46", "CAP-48", "CAP-42", "PAY-21", "PAY-22", "PAY-23", "PAY-24", "EVT-8"}},
		{"streams are of one case", evt, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			var e eventpb.Event
			var q eventpb.StreamQuery
			switch {
			case c.Operation == capability.OpWriteEvent && e.UnmarshalProto(c.Payload) == nil:
				e.Stream = strings.ToLower(e.Stream)
				c.Payload = e.AppendProto(nil)
			case c.Operation == capability.OpQueryStream && q.UnmarshalProto(c.Payload) == nil:
				q.StreamID = strings.ToLower(q.StreamID)
				c.Payload = q.AppendProto(nil)
			}
			return p.Call(ctx, c)
		}), []string{"EVT-8"}, []string{"EVT-1"}},
		{"empty values are left out", evt, asks(capability.OpWriteEvent, func(r *eventpb.Event) {
			for k, v := range r.Values {
				if v == "" {
					delete(r.Values, k)
				}
			}
		}), []string{"EVT-9"}, []string{"EVT-8", "EVT-11", "PAY-15", "PAY-16"}},
		{"every second event is not delivered", evt, everySecond, []string{"EVT-11"}, []string{"EVT-12", "EVT-13", "CAP-48", "CAP-36", "CAP-38"}},
	}
}

// newest answers the last events instead of the first.
func newest() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var q eventpb.StreamQuery
		if c.Operation != capability.OpQueryStream || q.UnmarshalProto(c.Payload) != nil || q.Count == 0 {
			return p.Call(ctx, c)
		}
		count := q.Count
		q.Count = 0
		all, err := ask[eventpb.StreamResults](p, ctx, c, c.Operation, &q)
		if err != nil {
			return nil, err
		}
		if n := uint64(len(all.Events)); n > count {
			all.Events = all.Events[n-count:]
		}
		return all.AppendProto(nil), nil
	}}
}

func everySecond() spoil {
	var mu sync.Mutex
	n := 0
	return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
		mu.Lock()
		n++
		drop := n%2 == 0
		mu.Unlock()
		if drop {
			return capability.Reply{}, nil
		}
		return d.pass(d.payload)
	}}
}

func blobFaults() []fault {
	bl := capability.Blobstore
	return []fault{
		{"chunks come in another order", bl, chunksSwapped, []string{"BLOB-30", "BLOB-31"}, []string{"BLOB-32", "BLOB-8", "BLOB-21", "BLOB-22", "BLOB-24", "BLOB-25", "CAP-48", "CAP-38"}},
		{"chunks are counted from 1", bl, delivers(capability.OpReceiveChunk, func(r *blobpb.FileChunk) { r.SequenceNo++ }), []string{"BLOB-31"}, []string{"BLOB-30", "CAP-48"}},
		{"a chunk says nothing of the whole", bl, delivers(capability.OpReceiveChunk, func(r *blobpb.FileChunk) { r.TotalBytes = 0 }), []string{"BLOB-31"}, nil},
		{"there is a chunk too many in a Transfer", bl, answers(capability.OpStartUpload, func(r *blobpb.Transfer) { r.TotalChunks++ }), []string{"BLOB-20"}, []string{"BLOB-23", "BLOB-35"}},
		{"the chunks of a download are miscounted", bl, answers(capability.OpStartDownload, func(r *blobpb.Transfer) {
			if r.ChunkSize > 0 {
				r.TotalChunks = r.TotalSize/r.ChunkSize + 1
			}
		}), []string{"BLOB-30"}, []string{"BLOB-23", "BLOB-35", "BLOB-34", "BLOB-31"}},
		{"sizes are off by one", bl, answers(capability.OpGetObjectInfo, func(r *blobpb.Blob) {
			if r.ID != "" {
				r.ByteSize++
			}
		}), []string{"BLOB-6"}, []string{"BLOB-8", "BLOB-22", "BLOB-23", "BLOB-26", "BLOB-35"}},
		{"a list has no sizes", bl, answers(capability.OpListObjects, func(r *blobpb.BlobList) {
			for _, b := range r.Blobs {
				b.ByteSize = 0
			}
		}), []string{"BLOB-4"}, []string{"BLOB-1", "BLOB-7", "BLOB-8", "BLOB-22", "CAP-48"}},
		{"lists come as they like", bl, answers(capability.OpListObjects, func(r *blobpb.BlobList) {
			for i, j := 0, len(r.Blobs)-1; i < j; i, j = i+1, j-1 {
				r.Blobs[i], r.Blobs[j] = r.Blobs[j], r.Blobs[i]
			}
		}), []string{"BLOB-5"}, nil},
		{"a container that exists is a conflict", bl, existsAlready, []string{"BLOB-1"}, []string{"CAP-34", "CAP-41", "CAP-301", "CAP-302", "CAP-46", "CAP-48", "CAP-42", "PAY-1", "PAY-2", "PAY-3", "PAY-4", "PAY-11", "PAY-12", "PAY-13", "PAY-18", "PAY-20", "PAY-21", "PAY-22", "PAY-23", "PAY-24", "PAY-25"}},
		{"a container goes with all that is in it", bl, removesAll, []string{"BLOB-2"}, nil},
		{"a container that is not there is empty", bl, fails(capability.CodeNotFound, func(c capability.Call, err error) ([]byte, error) {
			if c.Operation == capability.OpListObjects {
				return nil, nil
			}
			return nil, err
		}), []string{"BLOB-3"}, []string{"BLOB-2"}},
		{"a blob that is not there is an error", bl, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if c.Operation == capability.OpGetObjectInfo && err == nil && len(answer) == 0 {
				return nil, &capability.Error{Code: capability.CodeNotFound, Message: "there is no such blob"}
			}
			return answer, err
		}), []string{"BLOB-6"}, []string{"BLOB-22"}},
		{"to remove what is not there is an error", bl, removeNotFound, []string{"BLOB-7"}, []string{"BLOB-26"}},
		{"ids are of one case", bl, lowerIDs, []string{"BLOB-8"}, []string{"BLOB-5"}},
		{"any chunk is taken", bl, fails(capability.CodeInvalid, func(c capability.Call, err error) ([]byte, error) {
			if c.Operation == capability.OpUploadChunk && strings.Contains(err.Error(), "come next") {
				return nil, nil
			}
			return nil, err
		}), []string{"BLOB-21"}, nil},
		{"a second upload takes the place of the first", bl, secondUpload, []string{"BLOB-24"}, nil},
		{"a chunk begins an upload", bl, fails(capability.CodeNotFound, func(c capability.Call, err error) ([]byte, error) {
			if c.Operation == capability.OpUploadChunk {
				return nil, nil
			}
			return nil, err
		}), []string{"BLOB-25", "BLOB-26"}, nil},
		{"StartUpload takes bytes", bl, asks(capability.OpStartUpload, func(r *blobpb.FileChunk) {
			if len(r.ChunkBytes) > 0 {
				r.ChunkBytes, r.TotalBytes, r.ChunkSize = nil, 1, 1
			}
		}), []string{"BLOB-27"}, nil},
		{"a download of nothing is one of 0 bytes", bl, fails(capability.CodeNotFound, func(c capability.Call, err error) ([]byte, error) {
			if c.Operation == capability.OpStartDownload && strings.Contains(err.Error(), "no blob") {
				return nil, nil
			}
			return nil, err
		}), []string{"BLOB-33"}, nil},
		{"an empty blob comes in one chunk", bl, emptyChunk, []string{"BLOB-35", "BLOB-23"}, nil},
		{"chunks of no size have 64 KiB", bl, asks(capability.OpStartDownload, func(r *blobpb.StreamRequest) {
			if r.ChunkSize == 0 {
				r.ChunkSize = 64 << 10
			}
		}), []string{"BLOB-34"}, nil},
		{"ids with dots are taken", bl, asks(capability.OpGetObjectInfo, func(r *blobpb.Blob) { r.ID = strings.ReplaceAll(r.ID, "./", "-/") }), []string{"BLOB-9"}, []string{"BLOB-8"}},
	}
}

// chunksSwapped brings the second chunk of a download before the first.
func chunksSwapped() spoil {
	var mu sync.Mutex
	held := make(map[string][]byte)
	return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
		var r blobpb.FileChunk
		if r.UnmarshalProto(d.payload) != nil {
			return d.pass(d.payload)
		}
		key := r.Container + "\n" + r.ID
		mu.Lock()
		first := held[key]
		switch {
		case r.SequenceNo == 0 && r.TotalBytes > r.ChunkSize:
			held[key] = append([]byte(nil), d.payload...)
			mu.Unlock()
			return capability.Reply{}, nil
		case r.SequenceNo == 1 && first != nil:
			delete(held, key)
		default:
			first = nil
		}
		mu.Unlock()
		reply, err := d.pass(d.payload)
		if first != nil && err == nil {
			return d.pass(first)
		}
		return reply, err
	}}
}

func existsAlready() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r blobpb.Container
		if c.Operation == capability.OpCreateContainer && r.UnmarshalProto(c.Payload) == nil {
			if _, err := ask[blobpb.BlobList](p, ctx, c, capability.OpListObjects, &r); err == nil {
				return nil, &capability.Error{Code: capability.CodeConflict, Message: "it is there already"}
			}
		}
		return p.Call(ctx, c)
	}}
}

func removesAll() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r blobpb.Container
		if c.Operation == capability.OpRemoveContainer && r.UnmarshalProto(c.Payload) == nil {
			if list, err := ask[blobpb.BlobList](p, ctx, c, capability.OpListObjects, &r); err == nil {
				for _, b := range list.Blobs {
					ask[blobpb.Blob](p, ctx, c, capability.OpRemoveObject, b)
				}
			}
		}
		return p.Call(ctx, c)
	}}
}

func removeNotFound() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r blobpb.Blob
		if c.Operation == capability.OpRemoveObject && r.UnmarshalProto(c.Payload) == nil {
			there, err := ask[blobpb.Blob](p, ctx, c, capability.OpGetObjectInfo, &r)
			if err == nil && there.ID == "" {
				p.Call(ctx, c) // which gives up an upload
				return nil, &capability.Error{Code: capability.CodeNotFound, Message: "there is no such blob"}
			}
		}
		return p.Call(ctx, c)
	}}
}

func lowerIDs() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var f blobpb.FileChunk
		switch c.Operation {
		case capability.OpStartUpload, capability.OpUploadChunk:
			if f.UnmarshalProto(c.Payload) == nil {
				f.ID = strings.ToLower(f.ID)
				c.Payload = f.AppendProto(nil)
			}
		}
		return p.Call(ctx, c)
	}}
}

func secondUpload() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		var f blobpb.FileChunk
		if err != nil && c.Operation == capability.OpStartUpload && capability.AsError(err).Code == capability.CodeConflict && f.UnmarshalProto(c.Payload) == nil {
			ask[blobpb.Blob](p, ctx, c, capability.OpRemoveObject, &blobpb.Blob{Container: f.Container, ID: f.ID})
			return p.Call(ctx, c)
		}
		return answer, err
	}}
}

// emptyChunk has the guest handle a chunk without bytes for a blob of none.
func emptyChunk() spoil {
	var to sync.Map // dispatchers by binding
	s := spoil{}
	s.call = func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		var t blobpb.Transfer
		if err == nil && c.Operation == capability.OpStartDownload && t.UnmarshalProto(answer) == nil && t.TotalSize == 0 {
			if d, ok := to.Load(c.BindingID); ok {
				chunk := (&blobpb.FileChunk{Container: t.Container, ID: t.BlobID}).AppendProto(nil)
				go d.(capability.Dispatcher).Dispatch(context.WithoutCancel(ctx), capability.OpReceiveChunk, chunk, nil)
			}
		}
		return answer, err
	}
	s.takes = func(id capability.BindingID, d capability.Dispatcher) { to.Store(id, d) }
	return s
}

func smallFaults() []fault {
	log, extras := capability.Logging, capability.Extras
	return []fault{
		{"the level 0 is written", log, asks(capability.OpWriteLog, func(r *logpb.WriteLogRequest) { r.Level = max(r.Level, 1) }), []string{"LOG-2"}, nil},
		{"warnings are errors", log, asks(capability.OpWriteLog, func(r *logpb.WriteLogRequest) {
			if r.Level == 2 {
				r.Level = 1
			}
		}), []string{"LOG-1"}, nil},
		{"levels above 5 are those of traces", log, asks(capability.OpWriteLog, func(r *logpb.WriteLogRequest) { r.Level = min(r.Level, 5) }), []string{"LOG-3"}, nil},
		{"a body is a line or more", log, linesApart, []string{"LOG-4"}, nil},
		{"the actor is dropped", log, asks(capability.OpWriteLog, func(r *logpb.WriteLogRequest) { r.Actor = "" }), []string{"LOG-5"}, nil},
		{"some lines are lost", log, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			if len(c.Payload) > 10 && c.Operation == capability.OpWriteLog && strings.Contains(string(c.Payload), "at once") {
				return nil, nil
			}
			return p.Call(ctx, c)
		}), []string{"LOG-1", "CAP-48"}, nil},
		{"guids are in capitals", extras, answers(capability.OpRequestGuid, func(r *extraspb.GeneratorResult) { r.Guid = strings.ToUpper(r.Guid) }), []string{"EXT-1"}, nil},
		{"guids are the same", extras, answers(capability.OpRequestGuid, func(r *extraspb.GeneratorResult) { r.Guid = "01234567-89ab-4def-8123-456789abcdef" }), []string{"EXT-1"}, nil},
		{"sequences begin at 1", extras, answers(capability.OpRequestSequence, func(r *extraspb.GeneratorResult) { r.SequenceNo++ }), []string{"EXT-2"}, []string{"CAP-33", "CAP-48"}},
		{"guests share a sequence", extras, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			if c.Operation == capability.OpRequestSequence {
				c.Guest, c.Name = strings.TrimSuffix(c.Guest, "X"), capability.DefaultBinding
			}
			return p.Call(ctx, c)
		}), []string{"EXT-2", "CAP-33"}, nil},
		{"max belongs to the range", extras, asks(capability.OpRequestRandom, func(r *extraspb.GeneratorRequest) {
			if r.Max > r.Min && r.Max < 1<<31 {
				r.Max++
			}
		}), []string{"EXT-3"}, []string{"EXT-6", "EXT-5", "PAY-11", "PAY-12", "PAY-13", "PAY-18"}},
		{"a range without a number has one", extras, asks(capability.OpRequestRandom, func(r *extraspb.GeneratorRequest) { r.Max = max(r.Max, r.Min+1) }), []string{"EXT-4"}, []string{"PAY-13"}},
		{"any type of a generator is taken", extras, asks(capability.OpRequestGuid, func(r *extraspb.GeneratorRequest) { r.Gentype = 0 }), []string{"EXT-5"}, nil},
		{"small numbers are likelier", extras, exchanges(capability.OpRequestRandom, func(r *extraspb.GeneratorResult, q *extraspb.GeneratorRequest) {
			if r.RandomNo%4 == 3 {
				r.RandomNo = q.Min + r.RandomNo%max(1, (q.Max-q.Min)/2)
			}
		}), []string{"EXT-6"}, []string{"EXT-3"}},
		{"the wrong member of the answer is set", extras, answers(capability.OpRequestRandom, func(r *extraspb.GeneratorResult) {
			r.Value, r.SequenceNo = extraspb.GeneratorResultValueSequenceNo, uint64(r.RandomNo)
		}), []string{"EXT-3"}, []string{"EXT-5", "EXT-6"}},
		{"the time is in milliseconds", capability.Clock, answers(capability.OpNow, func(r *clockpb.NowResponse) { r.UnixNanos /= 1e6 }), []string{"CLK-1"}, nil},
		{"the clock stands still", capability.Clock, answers(capability.OpNow, func(r *clockpb.NowResponse) { r.UnixNanos -= r.UnixNanos % 1e9 }), []string{"CLK-1"}, nil},
	}
}

func linesApart() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r logpb.WriteLogRequest
		if c.Operation != capability.OpWriteLog || r.UnmarshalProto(c.Payload) != nil || !strings.Contains(r.Body, "\n") {
			return p.Call(ctx, c)
		}
		for line := range strings.SplitSeq(r.Body, "\n") {
			r.Body = line
			c.Payload = r.AppendProto(nil)
			if _, err := p.Call(ctx, c); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}
}
