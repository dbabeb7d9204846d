package s3

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPart = 10_000  // the highest number
	minPart = 5 << 20 // bytes of all parts but the last
)

type uploadCreated struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

func (c *call) createUpload() error {
	kept, err := headers(c.r)
	if err != nil {
		return err
	}
	var random [16]byte
	rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	err = c.change(func(*bucket) error {
		return c.store.commit(&record{Op: opUpload, Bucket: c.bucket, Key: c.key, Upload: id, Time: now(), Object: &object{Headers: kept}})
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &uploadCreated{Bucket: c.bucket, Key: c.key, UploadID: id})
}

// upload runs f with the upload that the request names, and the store locked.
func (c *call) upload(f func(id string, u *upload, b *bucket) error) error {
	return c.change(func(b *bucket) error {
		id := c.query.Get("uploadId")
		u := c.store.uploads[id]
		if u == nil || u.bucket != c.bucket || u.key != c.key {
			return errNoSuchUpload
		}
		return f(id, u, b)
	})
}

func (c *call) uploadPart() error {
	number, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || number < 1 || number > maxPart {
		return fail("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	if err := c.upload(func(string, *upload, *bucket) error { return nil }); err != nil { // before the data comes
		return err
	}
	if c.r.Header.Get("X-Amz-Copy-Source") != "" {
		return c.copyPart(number)
	}
	body, err := newPayload(c.r, c.signed)
	if err != nil {
		return err
	}
	sum := md5.New()
	segments, size, err := c.store.ingest(body, sum)
	if err != nil {
		return err
	}
	p := &part{Segments: segments, Size: size, MD5: hex.EncodeToString(sum.Sum(nil)), Modified: now()}
	if err := c.addPart(number, p); err != nil {
		return err
	}
	if body.checksum != nil {
		c.w.Header().Set(body.checksum.Header, body.checksum.Value)
	}
	c.w.Header().Set("Etag", quote(p.MD5))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) addPart(number int, p *part) error {
	err := c.upload(func(id string, _ *upload, _ *bucket) error {
		return c.store.commit(&record{Op: opPart, Upload: id, Number: number, Part: p})
	})
	if err != nil {
		c.store.drop(p.Segments)
	}
	return err
}

func (c *call) copyPart(number int) error {
	from, err := c.source()
	if err != nil {
		return err
	}
	defer c.unhand(from)
	first, end := int64(0), from.Size
	if text := c.r.Header.Get("X-Amz-Copy-Source-Range"); text != "" {
		var ok bool
		first, end, ok = byteRange(text, from.Size)
		if !ok || first >= end {
			return fail("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
	}
	data := c.section(from, first, end)
	defer data.Close()
	sum := md5.New()
	segments, size, err := c.store.ingest(data, sum)
	if err != nil {
		return err
	}
	p := &part{Segments: segments, Size: size, MD5: hex.EncodeToString(sum.Sum(nil)), Modified: now()}
	if err := c.addPart(number, p); err != nil {
		return err
	}
	return c.reply(http.StatusOK, &copyResult{
		XMLName: xml.Name{Space: namespace, Local: "CopyPartResult"}, LastModified: p.Modified.Format(timeForm), ETag: quote(p.MD5),
	})
}

type completeRequest struct {
	Part []struct {
		PartNumber int
		ETag       string
	}
}

type completed struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      string
	ETag     string
}

func (c *call) completeUpload() error {
	var request completeRequest
	if err := c.document(&request); err != nil {
		return err
	}
	if len(request.Part) == 0 {
		return errMalformedXML
	}
	var o *object
	err := c.upload(func(id string, u *upload, b *bucket) (err error) {
		if err = c.condition(b.objects[c.key]); err != nil {
			return err
		}
		if o, err = u.assemble(&request); err != nil {
			return err
		}
		return c.store.commit(&record{Op: opComplete, Upload: id, Object: o})
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &completed{
		Location: "http://" + c.r.Host + "/" + c.bucket + "/" + escape(c.key, true), Bucket: c.bucket, Key: c.key, ETag: quote(o.ETag),
	})
}

// assemble makes an object of the parts that a request names.
func (u *upload) assemble(request *completeRequest) (*object, error) {
	o := &object{Modified: now(), Headers: u.object.Headers}
	sums := md5.New()
	previous := 0
	for _, named := range request.Part {
		if named.PartNumber <= previous {
			return nil, fail("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		previous = named.PartNumber
	}
	for i, named := range request.Part {
		p := u.parts[named.PartNumber]
		switch {
		case p == nil || p.MD5 != strings.Trim(named.ETag, `"`):
			return nil, fail("InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		case p.Size < minPart && i < len(request.Part)-1:
			return nil, fail("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		sum, err := hex.DecodeString(p.MD5)
		if err != nil {
			return nil, err
		}
		sums.Write(sum)
		o.Segments = append(o.Segments, p.Segments...)
		o.Size += p.Size
	}
	o.ETag = hex.EncodeToString(sums.Sum(nil)) + "-" + strconv.Itoa(len(request.Part))
	return o, nil
}

func (c *call) abortUpload() error {
	err := c.upload(func(id string, _ *upload, _ *bucket) error {
		return c.store.commit(&record{Op: opAbort, Upload: id})
	})
	if err != nil {
		return err
	}
	return c.nothing()
}

type partInfo struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

type partList struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator, Owner     owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Part                 []partInfo
}

func (c *call) listParts() error {
	l := partList{Bucket: c.bucket, Key: c.key, Initiator: theOwner, Owner: theOwner, StorageClass: "STANDARD"}
	var err error
	if l.MaxParts, err = c.limit("max-parts"); err != nil {
		return err
	}
	l.PartNumberMarker, _ = strconv.Atoi(c.query.Get("part-number-marker")) // 0 where there is none
	err = c.upload(func(id string, u *upload, _ *bucket) error {
		l.UploadID = id
		for _, number := range slices.Sorted(maps.Keys(u.parts)) {
			if number <= l.PartNumberMarker {
				continue
			}
			if len(l.Part) == l.MaxParts {
				l.IsTruncated = true
				break
			}
			p := u.parts[number]
			l.Part = append(l.Part, partInfo{number, p.Modified.Format(timeForm), quote(p.MD5), p.Size})
			l.NextPartNumberMarker = number
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, &l)
}

type uploadInfo struct {
	Key              string
	UploadID         string `xml:"UploadId"`
	Initiator, Owner owner
	StorageClass     string
	Initiated        string
}

type uploadList struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket       string
	KeyMarker    string
	Prefix       string
	EncodingType string `xml:",omitempty"`
	MaxUploads   int
	IsTruncated  bool
	Upload       []uploadInfo
}

// listUploads lists all that are under way, in one page.
func (c *call) listUploads() error {
	encoding := listing{EncodingType: c.query.Get("encoding-type")}
	l := uploadList{Bucket: c.bucket, Prefix: encoding.encode(c.query.Get("prefix")), EncodingType: encoding.EncodingType, MaxUploads: maxKeys}
	err := c.change(func(*bucket) error {
		for id, u := range c.store.uploads {
			if u.bucket == c.bucket && strings.HasPrefix(u.key, c.query.Get("prefix")) {
				l.Upload = append(l.Upload, uploadInfo{u.key, id, theOwner, theOwner, "STANDARD", u.started.Format(timeForm)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(l.Upload, func(a, b uploadInfo) int {
		if order := strings.Compare(a.Key, b.Key); order != 0 {
			return order
		}
		return strings.Compare(a.UploadID, b.UploadID)
	})
	for i := range l.Upload {
		l.Upload[i].Key = encoding.encode(l.Upload[i].Key)
	}
	return c.reply(http.StatusOK, &l)
}
