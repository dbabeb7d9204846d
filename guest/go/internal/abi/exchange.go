package abi

// maxKept is the largest buffer that is kept for the next call. One large
// payload should not hold its memory for ever.
const maxKept = 1 << 20

// Exchange is one host call with its buffers: Begin, append the payload to
// Request, Call, read the response, End.
type Exchange struct {
	Request  []byte
	response []byte
	text     string // that Text returned last
}

// Begin returns an Exchange with an empty Request.
func Begin() *Exchange {
	x := take()
	if x == nil {
		return &Exchange{Request: make([]byte, 0, 128)}
	}
	x.Request = x.Request[:0]
	return x
}

// Text returns b as a string. It is the one that it returned before, where that is
// the same: a copy takes an allocation.
func (x *Exchange) Text(b []byte) string {
	const short = 256
	if len(b) > short {
		return string(b)
	}
	if !Equal(b, x.text) {
		x.text = string(b)
	}
	return x.text
}

// End gives the buffers back. The response must not be used after it.
func (x *Exchange) End() {
	if cap(x.Request) <= maxKept && cap(x.response) <= maxKept {
		put(x)
	}
}

// Fit returns a slice of n bytes, in b's memory where that suffices. It never
// returns nil.
func Fit(b []byte, n int) []byte {
	if n > cap(b) || b == nil {
		return make([]byte, n, max(n, 512))
	}
	return b[:n]
}

// Keep returns b if it is small enough to be used for the next call.
func Keep(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b
}
