package waxotest

import (
	"fmt"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/clockpb"
	"github.com/waxosuit/waxo/guest/go/internal/extraspb"
	"github.com/waxosuit/waxo/guest/go/internal/loggingpb"
)

// unmarshaler is a payload that can be read.
type unmarshaler interface{ UnmarshalProto([]byte) error }

func decode(payload []byte, into unmarshaler) error {
	if err := into.UnmarshalProto(payload); err != nil {
		return &waxo.Error{Code: "invalid", Message: err.Error()}
	}
	return nil
}

var levels = []string{"off", "error", "warn", "info", "debug", "trace"}

func (h *Host) writeLog(operation string, payload []byte) ([]byte, error) {
	if operation != "WriteLog" {
		return nil, unsupported(operation)
	}
	var req loggingpb.WriteLogRequest
	if err := decode(payload, &req); err != nil {
		return nil, err
	}
	if req.Level >= uint32(len(levels)) {
		return nil, &waxo.Error{Code: "invalid", Message: fmt.Sprintf("there is no log level %d", req.Level)}
	}
	if req.Level == 0 {
		return nil, nil
	}
	entry := Entry{Level: levels[req.Level], Text: req.Body}
	h.entries = append(h.entries, entry)
	h.t.Log(entry.Level + ": " + entry.Text)
	return nil, nil
}

func (h *Host) tellTime(operation string) ([]byte, error) {
	if operation != "Now" {
		return nil, unsupported(operation)
	}
	resp := clockpb.NowResponse{UnixNanos: h.now.UnixNano()}
	return resp.AppendProto(nil), nil
}

func (h *Host) generate(operation string, payload []byte) ([]byte, error) {
	var req extraspb.GeneratorRequest
	if err := decode(payload, &req); err != nil {
		return nil, err
	}
	var r extraspb.GeneratorResult
	switch operation {
	case "RequestGuid":
		a, b := h.random.Uint64(), h.random.Uint64()
		r.Value = extraspb.GeneratorResultValueGuid
		r.Guid = fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(a>>32), uint16(a>>16), a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
	case "RequestSequence":
		r.Value = extraspb.GeneratorResultValueSequenceNo
		r.SequenceNo = h.sequence
		h.sequence++
	case "RequestRandom":
		if req.Min >= req.Max {
			return nil, &waxo.Error{Code: "invalid", Message: fmt.Sprintf("no number is at least %d and less than %d", req.Min, req.Max)}
		}
		r.Value = extraspb.GeneratorResultValueRandomNo
		r.RandomNo = req.Min + h.random.Uint32N(req.Max-req.Min)
	default:
		return nil, unsupported(operation)
	}
	return r.AppendProto(nil), nil
}
