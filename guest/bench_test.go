package guest_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/guest/guesttest"
)

// benchCall is one thing that is measured: a call of testdata/bench, beside the
// call of testdata/bare that is its limit.
type benchCall struct {
	name              string
	operation         string
	payload           []byte
	bareOp            string
	barePayloadLength int
}

func benchCalls() []benchCall {
	const httpOp = "wascap:httpserver!HandleRequest"
	request := func(method, path string, size int) []byte {
		return (&httppb.Request{Method: method, Path: path, Body: make([]byte, size), Header: map[string]string{
			"Accept": "*/*", "Host": "localhost:8080", "User-Agent": "curl/8.5.0", "Content-Type": "text/plain",
		}}).AppendProto(nil)
	}
	var calls []benchCall
	for _, size := range []int{64, 4 << 10, 256 << 10} {
		n := strconv.Itoa(size)
		calls = append(calls,
			benchCall{"operation/" + n, "bench:x!Echo", make([]byte, size), "e", size},
			benchCall{"http/" + n, httpOp, request("POST", "/echo", size), "e", size})
	}
	return append(calls,
		benchCall{"router", httpOp, request("GET", "/items/42", 0), "e", 64},
		benchCall{"kv.Get", "bench:x!Get", nil, "g", 0},
		benchCall{"kv.Add", "bench:x!Add", nil, "a", 0},
		benchCall{"http.Get", "bench:x!Fetch", []byte("http://127.0.0.1:8080/path"), "g", 0})
}

// answerTrivially is a host whose answers cost next to nothing.
func answerTrivially(_, _, operation string, _ []byte) ([]byte, error) {
	switch operation {
	case "wascap:keyvalue!Add":
		return addAnswer, nil
	case "wascap:httpclient!PerformRequest":
		return fetchAnswer, nil
	}
	return getAnswer, nil
}

var (
	getAnswer = []byte("\x0a\x0242\x10\x01") // a GetResponse
	addAnswer = []byte{1 << 3, 42}           // an AddResponse

	fetchAnswer = (&httppb.Response{StatusCode: 200, Body: make([]byte, 1024), Header: map[string]string{
		"Content-Length": "1024", "Content-Type": "text/plain; charset=utf-8", "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
	}}).AppendProto(nil)
)

// BenchmarkCall measures calls of a guest that is written with the SDK, in turns
// with calls of one that speaks the protocol by hand and uses its buffers again:
// the metric x-bare is their ratio. Both run on the bare engine, without
// deadlines.
func BenchmarkCall(b *testing.B) {
	sdk := guesttest.Run(b, guesttest.Build(b, "testdata/bench"), answerTrivially)
	bare := guesttest.Run(b, guesttest.Build(b, "testdata/bare"), answerTrivially)
	for _, c := range benchCalls() {
		barePayload := make([]byte, c.barePayloadLength)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var ours, limit time.Duration
			calls := 0
			for b.Loop() {
				ours += measure(b, sdk, c.operation, c.payload)
				limit += measure(b, bare, c.bareOp, barePayload)
				calls += turn
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(calls), "ns/call")
			b.ReportMetric(float64(limit.Nanoseconds())/float64(calls), "ns/bare-call")
			b.ReportMetric(float64(ours)/float64(limit), "x-bare")
			b.ReportMetric(0, "ns/op") // of no meaning: it is of both, a hundred times
		})
	}
}

// turn is how many calls one guest handles before it is the other's turn.
const turn = 100

func measure(b *testing.B, g *guesttest.Guest, operation string, payload []byte) time.Duration {
	ctx := context.Background()
	start := time.Now()
	for range turn {
		if _, err := g.View(ctx, operation, payload); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
