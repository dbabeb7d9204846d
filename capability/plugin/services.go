package plugin

import (
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// What go-plugin serves beside the provider, and what of it the host calls. Its
// broker, by which either side could open more connections, is left alone.
// https://github.com/hashicorp/go-plugin/tree/main/internal/plugin has the
// messages.
const (
	methodHealth   = "/grpc.health.v1.Health/Check"
	methodShutdown = "/plugin.GRPCController/Shutdown"
	methodStdio    = "/plugin.GRPCStdio/StreamStdio"

	// healthService is the name by which the plugin's health is asked for.
	healthService = "plugin"

	// maxAnswer bounds the answers of these services, and of Describe, in bytes.
	maxAnswer = 1 << 20
)

// empty is a message without a field that matters.
type empty struct{}

func (empty) ProtoSize() int                { return 0 }
func (empty) AppendProto(b []byte) []byte   { return b }
func (empty) UnmarshalProto(b []byte) error { return fields(b, nil) }

// healthRequest asks for the health of a service.
type healthRequest struct {
	empty
	service string
}

func (r *healthRequest) ProtoSize() int { return 1 + wire.SizeLen(len(r.service)) }

func (r *healthRequest) AppendProto(b []byte) []byte {
	return wire.AppendString(append(b, 1<<3|byte(wire.Bytes)), r.service)
}

// healthResponse has it.
type healthResponse struct {
	empty
	status healthStatus
}

func (r *healthResponse) UnmarshalProto(b []byte) error {
	r.status = 0
	return fields(b, func(number int, value uint64, _ []byte) {
		if number == 1 {
			r.status = healthStatus(value)
		}
	})
}

type healthStatus uint64

const serving healthStatus = 1

func (s healthStatus) String() string {
	switch s {
	case serving:
		return "SERVING"
	case 2:
		return "NOT_SERVING"
	case 3:
		return "SERVICE_UNKNOWN"
	}
	return "UNKNOWN"
}

// output is something that the plugin has written.
type output struct {
	empty
	channel uint64
	data    []byte
}

// The channels of output.
const (
	channelStdout = 1
	channelStderr = 2
)

func (o *output) UnmarshalProto(b []byte) error {
	*o = output{}
	return fields(b, func(number int, value uint64, data []byte) {
		switch number {
		case 1:
			o.channel = value
		case 2:
			o.data = data
		}
	})
}

// fields calls a function with each field of a message that is a number or bytes.
func fields(b []byte, field func(number int, value uint64, data []byte)) error {
	for len(b) > 0 {
		number, t, rest, err := wire.ReadTag(b)
		if err != nil {
			return err
		}
		var value uint64
		var data []byte
		switch t {
		case wire.Varint:
			value, b, err = wire.ReadVarint(rest)
		case wire.Bytes:
			data, b, err = wire.ReadBytes(rest)
		default:
			if b, err = wire.Skip(rest, number, t); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		if field != nil {
			field(number, value, data)
		}
	}
	return nil
}
