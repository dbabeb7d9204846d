package s3

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// kept are the headers that come back with an object.
var kept = []string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}

const (
	metaPrefix = "X-Amz-Meta-"
	maxMeta    = 2 << 10 // bytes of names and values
)

// headers are those of a new object.
func headers(r *http.Request) (map[string]string, error) {
	h := map[string]string{"Content-Type": "binary/octet-stream"}
	for _, name := range kept {
		v := r.Header.Get(name)
		if name == "Content-Encoding" { // the framing of the request is none of the object's
			v = strings.Trim(strings.ReplaceAll(v, "aws-chunked", ""), ", ")
		}
		if v != "" {
			h[name] = v
		}
	}
	size := 0
	for name, values := range r.Header {
		if strings.HasPrefix(name, metaPrefix) {
			h[name] = strings.Join(values, ",")
			size += len(name) - len(metaPrefix) + len(h[name])
		}
	}
	if size > maxMeta {
		return nil, fail("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return h, nil
}

// condition checks what a request demands of the object that it replaces; o may
// be nil.
func (c *call) condition(o *object) error {
	if match := c.r.Header.Get("If-Match"); match != "" {
		if o == nil {
			return errNoSuchKey
		}
		if match != "*" && strings.Trim(match, `"`) != o.ETag {
			return errPrecondition
		}
	}
	switch none := c.r.Header.Get("If-None-Match"); {
	case none == "*" && o != nil:
		return errPrecondition
	case none != "" && none != "*":
		return errNotThere
	}
	return nil
}

func (c *call) putObject() error {
	if err := c.exists(); err != nil { // before the data comes
		return err
	}
	kept, err := headers(c.r)
	if err != nil {
		return err
	}
	p, err := newPayload(c.r, c.signed)
	if err != nil {
		return err
	}
	sum := md5.New()
	segments, size, err := c.store.ingest(p, sum)
	if err != nil {
		return err
	}
	o := &object{Segments: segments, Size: size, ETag: hex.EncodeToString(sum.Sum(nil)), Modified: now(), Headers: kept, Checksum: p.checksum}
	if err := c.put(o); err != nil {
		c.store.drop(segments)
		return err
	}
	if o.Checksum != nil {
		c.w.Header().Set(o.Checksum.Header, o.Checksum.Value)
	}
	c.w.Header().Set("Etag", quote(o.ETag))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) put(o *object) error {
	return c.change(func(b *bucket) error {
		if err := c.condition(b.objects[c.key]); err != nil {
			return err
		}
		return c.store.commit(&record{Op: opPut, Bucket: c.bucket, Key: c.key, Object: o})
	})
}

// now is the time with the resolution that S3 shows.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func (c *call) getObject() error {
	var o *object
	var data *content
	err := c.change(func(b *bucket) error {
		if o = b.objects[c.key]; o == nil {
			return errNoSuchKey
		}
		data = c.store.open(o.Segments, o.Size)
		return nil
	})
	if err != nil {
		return err
	}
	defer data.Close()
	if err := c.readable(o); err != nil {
		return err
	}
	h := c.w.Header()
	for name, value := range o.Headers {
		h.Set(name, value)
	}
	for parameter, name := range overrides {
		if c.query.Has(parameter) {
			h.Set(name, c.query.Get(parameter))
		}
	}
	h.Set("Etag", quote(o.ETag))
	if o.Checksum != nil && c.r.Header.Get("Range") == "" && strings.EqualFold(c.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		h.Set(o.Checksum.Header, o.Checksum.Value)
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" {
		h.Del("Content-Encoding")
		c.w = &late{c.w, encoding}
	}
	http.ServeContent(c.w, c.r, "", o.Modified, data)
	return nil
}

// late adds the header Content-Encoding when http.ServeContent is done with the
// others: with it, that one would not tell the length.
type late struct {
	http.ResponseWriter
	encoding string
}

func (l *late) WriteHeader(status int) {
	l.Header().Set("Content-Encoding", l.encoding)
	l.ResponseWriter.WriteHeader(status)
}

var overrides = map[string]string{
	"response-content-type": "Content-Type", "response-content-language": "Content-Language",
	"response-expires": "Expires", "response-cache-control": "Cache-Control",
	"response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
}

// readable answers what http.ServeContent would answer without a document, and
// takes ranges away that S3 does not serve.
func (c *call) readable(o *object) error {
	h := c.r.Header
	if match := h.Get("If-Match"); match != "" && match != "*" && strings.Trim(match, `"`) != o.ETag {
		return errPrecondition
	}
	if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && h.Get("If-Match") == "" && o.Modified.Truncate(time.Second).After(t) {
		return errPrecondition
	}
	if text := h.Get("Range"); text != "" {
		first, _, ok := byteRange(text, o.Size)
		if !ok {
			h.Del("Range")
		} else if first >= o.Size {
			return fail("InvalidRange", "The requested range is not satisfiable")
		}
	}
	return nil
}

// byteRange reads a range of bytes, which ends before end. Not ok: there is none
// that means anything. first may be beyond the size.
func byteRange(text string, size int64) (first, end int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes=")
	from, to, dash := strings.Cut(text, "-")
	if !ok || !dash {
		return 0, 0, false
	}
	last := size - 1
	var err error
	if to != "" {
		if last, err = strconv.ParseInt(to, 10, 64); err != nil || last < 0 {
			return 0, 0, false
		}
	}
	if from == "" {
		if to == "" {
			return 0, 0, false
		}
		if last == 0 {
			return size, size, true // the last 0 bytes
		}
		return max(size-last, 0), size, true
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil || first < 0 || to != "" && last < first {
		return 0, 0, false
	}
	return first, min(last, size-1) + 1, true
}

func (c *call) deleteObject() error {
	err := c.change(func(b *bucket) error { return c.remove(b, c.key) })
	if err != nil {
		return err
	}
	return c.nothing()
}

// remove removes an object, if there is one.
func (c *call) remove(b *bucket, key string) error {
	if b.objects[key] == nil {
		return nil
	}
	return c.store.commit(&record{Op: opDelete, Bucket: c.bucket, Key: key})
}

type deleteRequest struct {
	Quiet  bool
	Object []struct{ Key string }
}

type deletedKey struct{ Key string }

type deleteResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []deletedKey
}

func (c *call) deleteObjects() error {
	var request deleteRequest
	if err := c.document(&request); err != nil {
		return err
	}
	if len(request.Object) == 0 || len(request.Object) > maxKeys {
		return errMalformedXML
	}
	var result deleteResult
	err := c.change(func(b *bucket) error {
		for _, o := range request.Object {
			if err := c.remove(b, o.Key); err != nil {
				return err
			}
			if !request.Quiet {
				result.Deleted = append(result.Deleted, deletedKey{o.Key})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &result)
}

func (c *call) tagging() error {
	err := c.change(func(b *bucket) error {
		if b.objects[c.key] == nil {
			return errNoSuchKey
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
		TagSet  string
	}{})
}

// source finds the object that a request copies, and keeps its data until release
// of its segments.
func (c *call) source() (*object, error) {
	text, _, _ := strings.Cut(c.r.Header.Get("X-Amz-Copy-Source"), "?versionId=")
	text, err := url.PathUnescape(text)
	name, key, ok := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	if err != nil || !ok {
		return nil, fail("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	b := c.store.buckets[name]
	if b == nil {
		return nil, errNoSuchBucket
	}
	o := b.objects[key]
	if o == nil {
		return nil, errNoSuchKey
	}
	if match := c.r.Header.Get("X-Amz-Copy-Source-If-Match"); match != "" && strings.Trim(match, `"`) != o.ETag {
		return nil, errPrecondition
	}
	if none := c.r.Header.Get("X-Amz-Copy-Source-If-None-Match"); none != "" && strings.Trim(none, `"`) == o.ETag {
		return nil, errPrecondition
	}
	c.store.retain(o.Segments)
	return o, nil
}

func (c *call) unhand(o *object) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.release(o.Segments)
}

type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
}

// copyObject makes an object that shares its data with another.
func (c *call) copyObject() error {
	if err := c.exists(); err != nil {
		return err
	}
	from, err := c.source()
	if err != nil {
		return err
	}
	defer c.unhand(from)
	if from.Size > maxObject {
		return fail("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	o := *from
	o.Modified = now()
	if strings.EqualFold(c.r.Header.Get("X-Amz-Metadata-Directive"), "REPLACE") {
		if o.Headers, err = headers(c.r); err != nil {
			return err
		}
	} else if c.r.Header.Get("X-Amz-Copy-Source") == "/"+c.bucket+"/"+c.key {
		return fail("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if err := c.put(&o); err != nil {
		return err
	}
	return c.reply(http.StatusOK, &copyResult{
		XMLName: xml.Name{Space: namespace, Local: "CopyObjectResult"}, LastModified: o.Modified.Format(timeForm), ETag: quote(o.ETag),
	})
}

// section is a part of an object's data.
func (c *call) section(o *object, first, end int64) io.ReadCloser {
	c.store.mu.Lock()
	data := c.store.open(o.Segments, o.Size)
	c.store.mu.Unlock()
	data.offset, data.size = first, end
	return data
}
