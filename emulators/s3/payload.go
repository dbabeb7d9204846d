package s3

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxObject is the size of what one request may bring.
const maxObject = 5 << 30

// payload is the body of a request as it is meant: without framing, and checked
// against every digest that came with it, by the time that it has been read.
type payload struct {
	r        io.Reader
	size     int64 // as announced
	read     int64
	checks   []*digest
	trailer  *digest // whose value comes behind the data
	chunks   *chunks // nil: no framing
	checksum *checksum
}

type digest struct {
	hash.Hash
	want []byte
	err  *apiError
}

// nvme is the polynomial of CRC-64/NVME, reflected.
const nvme = 0x9a6c9329ac4bc9b5

// newChecksum returns the hash behind a header with which S3 checks data beside
// MD5, or nil.
func newChecksum(header string) hash.Hash {
	switch strings.ToLower(header) {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(nvme))
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

// newPayload reads what the headers say of the body.
func newPayload(r *http.Request, s *signature) (*payload, error) {
	p := &payload{r: r.Body, size: r.ContentLength}
	length := r.Header.Get("X-Amz-Decoded-Content-Length")
	streaming := strings.HasPrefix(s.payload, "STREAMING-")
	if streaming {
		var err error
		if p.size, err = strconv.ParseInt(length, 10, 64); err != nil || p.size < 0 {
			return nil, fail("MissingContentLength", "You must provide the Content-Length HTTP header.")
		}
		p.chunks = newChunks(r.Body, s)
		p.r = p.chunks
	}
	switch {
	case p.size < 0:
		return nil, fail("MissingContentLength", "You must provide the Content-Length HTTP header.")
	case p.size > maxObject:
		return nil, fail("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	case !streaming && s.payload != unsigned:
		want, err := hex.DecodeString(s.payload)
		if err != nil || len(want) != sha256.Size {
			return nil, fail("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.")
		}
		p.checks = append(p.checks, &digest{sha256.New(), want, fail("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")})
	}
	if text, ok := r.Header["Content-Md5"]; ok {
		want, err := base64.StdEncoding.DecodeString(text[0])
		if err != nil || len(want) != md5.Size {
			return nil, fail("InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		p.checks = append(p.checks, &digest{md5.New(), want, errDigest})
	}
	return p, p.expectChecksum(r)
}

// expectChecksum finds the further checksum, of which there is one at most.
func (p *payload) expectChecksum(r *http.Request) error {
	for name, values := range r.Header {
		h := newChecksum(name)
		if h == nil {
			continue
		}
		want, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil || len(want) != h.Size() {
			return fail("InvalidRequest", "Value for "+strings.ToLower(name)+" header is invalid.")
		}
		p.checks = append(p.checks, &digest{h, want, errDigest})
		p.checksum = &checksum{Header: name, Value: values[0]}
	}
	if name := strings.TrimSpace(r.Header.Get("X-Amz-Trailer")); name != "" && p.chunks != nil {
		h := newChecksum(name)
		if h == nil {
			return fail("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
		}
		p.trailer = &digest{h, nil, errDigest}
		p.checks = append(p.checks, p.trailer)
		p.checksum = &checksum{Header: http.CanonicalHeaderKey(name)}
	}
	return nil
}

func (p *payload) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.read += int64(n)
	for _, c := range p.checks {
		c.Write(b[:n])
	}
	switch {
	case p.read > p.size:
		return n, errIncomplete
	case errors.Is(err, io.EOF):
		return n, p.end()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, errIncomplete
	}
	return n, err
}

// end is the error of the end: io.EOF, or what does not fit.
func (p *payload) end() error {
	if p.read != p.size {
		return errIncomplete
	}
	if p.trailer != nil {
		p.checksum.Value = p.chunks.trailer[strings.ToLower(p.checksum.Header)]
		want, err := base64.StdEncoding.DecodeString(p.checksum.Value)
		if err != nil || len(want) != p.trailer.Size() {
			return fail("InvalidRequest", "Value for "+strings.ToLower(p.checksum.Header)+" trailing header is invalid.")
		}
		p.trailer.want = want
	}
	for _, c := range p.checks {
		if !bytes.Equal(c.Sum(nil), c.want) {
			return c.err
		}
	}
	return io.EOF
}

// chunks takes off the framing "aws-chunked", and checks the signature of each
// chunk where there are any. A chunk's signature is compared once the chunk has
// been handed on; what comes of an object is decided at its end.
type chunks struct {
	in      *bufio.Reader
	sign    *signature // nil: none
	last    string     // signature of what came before
	want    string     // signature of this chunk
	left    int64      // of this chunk
	hash    hash.Hash  // of this chunk
	trailer map[string]string
	err     error
}

func newChunks(r io.Reader, s *signature) *chunks {
	c := &chunks{in: bufio.NewReaderSize(r, 16<<10), last: s.value, hash: sha256.New(), trailer: make(map[string]string)}
	if strings.HasPrefix(s.payload, "STREAMING-"+algorithm) {
		c.sign = s
	}
	return c
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 && c.err == nil {
		c.err = c.header()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.sign != nil {
		c.hash.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if c.left == 0 && err == nil {
		err = c.footer()
	}
	c.err = err
	return n, err
}

func (c *chunks) line() (string, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
		return "", errIncomplete
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// header reads the line before a chunk. After the last one comes io.EOF.
func (c *chunks) header() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	c.want = strings.TrimPrefix(extension, "chunk-signature=")
	if c.left, err = strconv.ParseInt(size, 16, 64); err != nil || c.left < 0 {
		return fail("InvalidRequest", fmt.Sprintf("The chunk header %q is malformed.", line))
	}
	c.hash.Reset()
	if c.left > 0 {
		return nil
	}
	if err := c.verify(); err != nil {
		return err
	}
	return c.trailers()
}

// footer checks the end of a chunk with data.
func (c *chunks) footer() error {
	if line, err := c.line(); err != nil || line != "" {
		return errIncomplete
	}
	return c.verify()
}

func (c *chunks) verify() error {
	if c.sign == nil {
		return nil
	}
	got := c.sign.sign(algorithm+"-PAYLOAD", c.last, hex.EncodeToString(sha256.New().Sum(nil)), hex.EncodeToString(c.hash.Sum(nil)))
	c.last = got
	return matches(got, c.want)
}

func matches(got, want string) error {
	if hmac.Equal([]byte(got), []byte(want)) {
		return nil
	}
	return fail("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
}

// trailers reads what comes behind the last chunk, and io.EOF.
func (c *chunks) trailers() error {
	var signed strings.Builder
	for {
		line, err := c.line()
		if line == "" && (err == nil || errors.Is(err, errIncomplete)) {
			break // also without the last empty line
		}
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name != "x-amz-trailer-signature" {
			signed.WriteString(name + ":" + value + "\n")
		}
		if len(c.trailer) > 8 {
			return fail("InvalidRequest", "There are too many trailing headers.")
		}
		c.trailer[name] = value
	}
	if c.sign != nil && strings.HasSuffix(c.sign.payload, "-TRAILER") {
		got := c.sign.sign(algorithm+"-TRAILER", c.last, hashOf([]byte(signed.String())))
		if err := matches(got, c.trailer["x-amz-trailer-signature"]); err != nil {
			return err
		}
	}
	return io.EOF
}
