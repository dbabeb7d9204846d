// Package clock tells a guest the time, through the capability "waxo:clock".
//
// A guest is sealed off from the world: there, time.Now tells a time of its own
// that always starts at the same moment. It serves to measure, not to know the
// date.
package clock

import (
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/internal/clockpb"
)

// Capability is the name under which a manifest asks for the clock.
const Capability = "waxo:clock"

// Now returns the host's time, in UTC. The error is a *waxo.Error.
func Now() (time.Time, error) {
	x := abi.Begin()
	defer x.End()
	answer, failure, ok := x.Call(waxo.DefaultBinding, Capability, "waxo:clock!Now")
	if !ok {
		return time.Time{}, waxo.ParseError(failure)
	}
	var resp clockpb.NowResponse
	if err := resp.UnmarshalProto(answer); err != nil {
		return time.Time{}, &waxo.Error{Code: "internal", Message: "clock: the answer to Now: " + err.Error()}
	}
	return time.Unix(0, resp.UnixNanos).UTC(), nil
}
