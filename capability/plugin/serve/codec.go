package serve

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/waxosuit/waxo/capability/internal/plugincontract"
)

// codec codes our messages without reflection, and leaves those of go-plugin to
// the protobuf library. On the wire there is no difference.
type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2. What it returns is a copy: the payload is
// the caller's again as soon as it has returned.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(plugincontract.Message)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Marshal(v)
	}
	size := m.ProtoSize()
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.BufferSlice{mem.SliceBuffer(m.AppendProto(make([]byte, 0, size)))}, nil
	}
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(size)
	m.AppendProto((*buffer)[:0])
	return mem.BufferSlice{mem.NewBuffer(buffer, pool)}, nil
}

// Unmarshal implements encoding.CodecV2. Payloads in v are v's own.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(plugincontract.Message)
	if !ok {
		return encoding.GetCodecV2(proto.Name).Unmarshal(data, v)
	}
	if err := m.UnmarshalProto(data.Materialize()); err != nil {
		return fmt.Errorf("the message is malformed: %w", err)
	}
	return nil
}
