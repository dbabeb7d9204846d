package s3

import (
	"encoding/base64"
	"encoding/xml"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	timeForm  = "2006-01-02T15:04:05.000Z"
	maxKeys   = 1000 // of one page, and by default
)

type owner struct {
	ID          string
	DisplayName string
}

var theOwner = owner{ID: "waxo", DisplayName: "waxo"}

type bucketInfo struct {
	Name         string
	CreationDate string
}

type buckets struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner   owner
	Buckets []bucketInfo `xml:"Buckets>Bucket"`
}

func (c *call) listBuckets() error {
	list := buckets{Owner: theOwner}
	c.store.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.store.buckets)) {
		list.Buckets = append(list.Buckets, bucketInfo{name, c.store.buckets[name].created.UTC().Format(timeForm)})
	}
	c.store.mu.Unlock()
	return c.reply(http.StatusOK, &list)
}

// validBucket tells whether S3 has buckets of that name:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") || strings.HasPrefix(name, "xn--") || strings.HasSuffix(name, "-s3alias") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		inside := i > 0 && i < len(name)-1
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || inside && (c == '-' || c == '.')) {
			return false
		}
	}
	addr, err := netip.ParseAddr(name)
	return err != nil || !addr.Is4()
}

func (c *call) createBucket() error {
	if !validBucket(c.bucket) {
		return fail("InvalidBucketName", "The specified bucket is not valid.")
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	if c.store.buckets[c.bucket] != nil {
		return fail("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	if err := c.store.commit(&record{Op: opBucket, Bucket: c.bucket, Time: time.Now().UTC()}); err != nil {
		return err
	}
	c.w.Header().Set("Location", "/"+c.bucket)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) headBucket() error {
	c.w.Header().Set("X-Amz-Bucket-Region", Region)
	if err := c.exists(); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteBucket() error {
	err := c.change(func(b *bucket) error {
		if len(b.keys) > 0 {
			return fail("BucketNotEmpty", "The bucket you tried to delete is not empty")
		}
		return c.store.commit(&record{Op: opUnbucket, Bucket: c.bucket})
	})
	if err != nil {
		return err
	}
	return c.nothing()
}

func (c *call) location() error {
	if err := c.exists(); err != nil {
		return err
	}
	return c.reply(http.StatusOK, &struct { // empty stands for the first region
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	}{})
}

func (c *call) versioning() error {
	if err := c.exists(); err != nil {
		return err
	}
	return c.reply(http.StatusOK, &struct { // empty: never switched on
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	}{})
}

type entry struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
	Owner        *owner `xml:",omitempty"`
}

type commonPrefix struct{ Prefix string }

type listing struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Marker                *string `xml:",omitempty"` // version 1
	NextMarker            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"` // version 2
	NextContinuationToken string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	KeyCount              *int    `xml:",omitempty"`
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []entry
	CommonPrefixes        []commonPrefix
}

// page is what a list is asked for.
type page struct {
	prefix, delimiter, after string
	limit                    int
}

// visit calls f with each key, or common prefix of keys, of a page. It tells the
// last one, and whether there is more.
func (b *bucket) visit(p page, f func(name string, o *object)) (last string, more bool) {
	i, _ := slices.BinarySearch(b.keys, max(p.prefix, p.after))
	for count := 0; i < len(b.keys) && strings.HasPrefix(b.keys[i], p.prefix); {
		name, o := b.keys[i], b.objects[b.keys[i]]
		i++
		if p.delimiter != "" {
			if at := strings.Index(name[len(p.prefix):], p.delimiter); at >= 0 {
				name, o = name[:len(p.prefix)+at+len(p.delimiter)], nil
				// No other key with this prefix counts.
				n, _ := slices.BinarySearchFunc(b.keys[i:], name, func(key, name string) int {
					if strings.HasPrefix(key, name) {
						return -1
					}
					return strings.Compare(key, name)
				})
				i += n
			}
		}
		if name <= p.after && p.after != "" {
			continue
		}
		if count == p.limit {
			return last, true
		}
		count++
		last = name
		f(name, o)
	}
	return last, false
}

func (c *call) listObjects() error {
	l := listing{Name: c.bucket, Prefix: c.query.Get("prefix"), Delimiter: c.query.Get("delimiter"), EncodingType: c.query.Get("encoding-type")}
	p := page{prefix: l.Prefix, delimiter: l.Delimiter}
	if l.EncodingType != "" && l.EncodingType != "url" {
		return fail("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	var err error
	if p.limit, err = c.limit("max-keys"); err != nil {
		return err
	}
	l.MaxKeys = p.limit
	second := c.query.Get("list-type") == "2"
	if second {
		l.StartAfter, l.ContinuationToken = c.query.Get("start-after"), c.query.Get("continuation-token")
		p.after = l.StartAfter
		if c.query.Has("continuation-token") {
			after, err := base64.URLEncoding.DecodeString(l.ContinuationToken)
			if err != nil || len(after) == 0 {
				return fail("InvalidArgument", "The continuation token provided is incorrect")
			}
			p.after = string(after)
		}
	} else {
		p.after = c.query.Get("marker")
		l.Marker = &p.after
	}
	var last string
	err = c.change(func(b *bucket) error {
		last, l.IsTruncated = b.visit(p, func(name string, o *object) { c.enter(&l, name, o, second) })
		return nil
	})
	if err != nil {
		return err
	}
	if count := len(l.Contents) + len(l.CommonPrefixes); second {
		l.KeyCount = &count
	}
	if l.IsTruncated = l.IsTruncated && last != ""; l.IsTruncated {
		if second {
			l.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
		} else if l.Delimiter != "" {
			l.NextMarker = l.encode(last)
		}
	}
	l.Prefix, l.Delimiter, l.StartAfter = l.encode(l.Prefix), l.encode(l.Delimiter), l.encode(l.StartAfter)
	return c.reply(http.StatusOK, &l)
}

func (c *call) enter(l *listing, name string, o *object, second bool) {
	if o == nil {
		l.CommonPrefixes = append(l.CommonPrefixes, commonPrefix{l.encode(name)})
		return
	}
	e := entry{Key: l.encode(name), LastModified: o.Modified.UTC().Format(timeForm), ETag: quote(o.ETag), Size: o.Size, StorageClass: "STANDARD"}
	if !second || c.query.Get("fetch-owner") == "true" {
		e.Owner = &theOwner
	}
	l.Contents = append(l.Contents, e)
}

// encode is a name in the form that was asked for.
func (l *listing) encode(name string) string {
	if l.EncodingType == "" {
		return name
	}
	return escape(name, true)
}

// limit reads a parameter that bounds a page.
func (c *call) limit(parameter string) (int, error) {
	text := c.query.Get(parameter)
	if text == "" {
		return maxKeys, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fail("InvalidArgument", "Provided "+parameter+" not an integer or within integer range")
	}
	return min(int(n), maxKeys), nil
}

func quote(etag string) string { return `"` + etag + `"` }
