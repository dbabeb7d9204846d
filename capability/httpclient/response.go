package httpclient

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability/internal/httpfield"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

const (
	// firstRead bounds what is allocated for a body that was only announced,
	// minRead is the least room to read into.
	firstRead = 64 << 10
	minRead   = 512
)

var (
	errSwitched = errors.New("the server changed to another protocol")
	errShort    = errors.New("the response's body is not as long as announced")
)

// appendResponse reads a response to its end and appends its payload, of which
// the body is the last field: where its length is known it is read right into its
// place.
func appendResponse(dst []byte, resp *http.Response, limit int64) ([]byte, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, errSwitched
	}
	head := httppb.Response{StatusCode: uint32(resp.StatusCode), Status: reason(resp)}
	dst = appendHeader(head.AppendProto(dst), resp.Header)
	length := resp.ContentLength
	switch {
	case resp.Body == http.NoBody || length == 0:
		return dst, nil
	case length > limit:
		return nil, tooLarge(limit)
	case length < 0:
		body, err := appendBody(nil, resp.Body, limit)
		if err != nil || len(body) == 0 {
			return dst, err
		}
		return wire.AppendBytes(append(dst, bodyTag), body), nil
	}
	dst = wire.AppendVarint(append(dst, bodyTag), uint64(length))
	before := len(dst)
	dst, err := appendBody(slices.Grow(dst, int(min(length, firstRead))), resp.Body, length)
	if err == nil && int64(len(dst)-before) != length {
		err = errShort
	}
	return dst, err
}

// appendBody reads to the end, and no further than to the limit. Memory is taken
// for what has arrived and as much again, not for what was announced.
func appendBody(dst []byte, r io.Reader, limit int64) ([]byte, error) {
	left := limit
	for {
		if left == 0 {
			return dst, atEnd(r, limit)
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, minRead)
		}
		n, err := r.Read(dst[len(dst):min(int64(cap(dst)), int64(len(dst))+left)])
		dst = dst[:len(dst)+n]
		left -= int64(n)
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// atEnd fails where there is more to read.
func atEnd(r io.Reader, limit int64) error {
	for {
		var one [1]byte
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return tooLarge(limit)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// appendHeader appends the fields of a response, sorted by name.
func appendHeader(dst []byte, header http.Header) []byte {
	connection := header["Connection"]
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if httpfield.Connection[name] || connection != nil && httpfield.Lists(connection, name) {
			continue
		}
		separator := ", "
		if name == "Set-Cookie" {
			separator = "\n"
		}
		dst = wire.AppendStringEntry(dst, headerTag, name, httpfield.ToUTF8(strings.Join(header[name], separator)))
	}
	return dst
}
