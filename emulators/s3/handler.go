package s3

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// call is a request that is being answered.
type call struct {
	server *Server
	store  *store
	w      http.ResponseWriter
	r      *http.Request
	query  url.Values
	id     string // of the request
	signed *signature
	bucket string // empty: none
	key    string // empty: none
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.requests.Done()
	var id [8]byte
	rand.Read(id[:]) // never fails
	c := &call{server: s, store: s.store, w: w, r: r, id: strings.ToUpper(hex.EncodeToString(id[:]))}
	w.Header().Set("Server", "waxo-s3")
	w.Header().Set("X-Amz-Request-Id", c.id)
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

func (c *call) serve() (err error) {
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return fail("InvalidURI", "Couldn't parse the specified URI.")
	}
	c.bucket, c.key, _ = strings.Cut(strings.TrimPrefix(c.r.URL.Path, "/"), "/")
	if !utf8.ValidString(c.r.URL.Path) {
		return fail("InvalidURI", "Couldn't parse the specified URI.")
	}
	if c.signed, err = c.server.keys.check(c.r, c.query, time.Now()); err != nil {
		return err
	}
	switch {
	case c.bucket == "" && c.key == "":
		return c.serveService()
	case c.key == "":
		return c.serveBucket()
	case len(c.key) > 1024:
		return fail("KeyTooLongError", "Your key is too long")
	}
	return c.serveObject()
}

// features are parameters that ask for what is not there.
var features = []string{
	"acl", "accelerate", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory",
	"legal-hold", "lifecycle", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy",
	"policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "torrent",
	"versionId", "versions", "website",
}

// plain is an error where a feature is asked for that is not there.
func (c *call) plain() error {
	for _, f := range features {
		if c.query.Has(f) && !(f == "versionId" && c.query.Get(f) == "null") {
			return errNotThere
		}
	}
	return nil
}

func (c *call) serveService() error {
	if c.r.Method != http.MethodGet {
		return fail("MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	return c.listBuckets()
}

func (c *call) serveBucket() error {
	if err := c.plain(); err != nil {
		return err
	}
	has := c.query.Has
	switch c.r.Method {
	case http.MethodPut:
		if has("versioning") || has("tagging") {
			return errNotThere
		}
		return c.createBucket()
	case http.MethodHead:
		return c.headBucket()
	case http.MethodDelete:
		if has("tagging") {
			return errNotThere
		}
		return c.deleteBucket()
	case http.MethodPost:
		if has("delete") {
			return c.deleteObjects()
		}
		return errNotThere
	case http.MethodGet:
		switch {
		case has("location"):
			return c.location()
		case has("versioning"):
			return c.versioning()
		case has("uploads"):
			return c.listUploads()
		case has("tagging"):
			return fail("NoSuchTagSet", "The TagSet does not exist")
		}
		return c.listObjects()
	}
	return fail("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

func (c *call) serveObject() error {
	if err := c.plain(); err != nil {
		return err
	}
	has := c.query.Has
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		switch {
		case has("uploadId"):
			return c.listParts()
		case has("tagging"):
			return c.tagging()
		}
		return c.getObject()
	case http.MethodPut:
		switch {
		case has("tagging"):
			return errNotThere
		case has("uploadId"):
			return c.uploadPart()
		case c.r.Header.Get("X-Amz-Copy-Source") != "":
			return c.copyObject()
		}
		return c.putObject()
	case http.MethodDelete:
		switch {
		case has("tagging"):
			return errNotThere
		case has("uploadId"):
			return c.abortUpload()
		}
		return c.deleteObject()
	case http.MethodPost:
		switch {
		case has("uploads"):
			return c.createUpload()
		case has("uploadId"):
			return c.completeUpload()
		}
		return errNotThere
	}
	return fail("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

// reply answers with a document.
func (c *call) reply(status int, document any) error {
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	// What cannot be written is lost with the client: the status is out.
	if _, err := io.WriteString(c.w, xml.Header); err == nil {
		_ = xml.NewEncoder(c.w).Encode(document)
	}
	return nil
}

// nothing answers 204.
func (c *call) nothing() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxDocument bounds what a request may bring as a document.
const maxDocument = 4 << 20

// document reads the XML of a request.
func (c *call) document(into any) error {
	p, err := newPayload(c.r, c.signed)
	if err != nil {
		return err
	}
	if p.size > maxDocument {
		return errMalformedXML
	}
	text, err := io.ReadAll(p)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return errMalformedXML
	}
	return nil
}

// change runs f, which may use the bucket, with the store locked.
func (c *call) change(f func(b *bucket) error) error {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	b := c.store.buckets[c.bucket]
	if b == nil {
		return errNoSuchBucket
	}
	return f(b)
}

// exists is an error where the bucket does not exist.
func (c *call) exists() error {
	return c.change(func(*bucket) error { return nil })
}
