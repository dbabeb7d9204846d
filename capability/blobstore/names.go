package blobstore

import (
	"encoding/base32"
	"net/netip"
	"strconv"
	"strings"
)

const (
	maxPrefix = 20
	maxBucket = 63   // bytes of a bucket's name
	maxKey    = 1024 // bytes of an object's key

	encodedMark = "x--" // leads a name that encodes an id
)

var encoding = base32.HexEncoding.WithPadding(base32.NoPadding)

func validPrefix(prefix string) error {
	if prefix == "" || len(prefix) <= maxPrefix && validBucket(prefix+"x--0") {
		return nil
	}
	return invalid("the prefix %s of the binding cannot lead the name of a bucket: it may have lower-case letters, digits, dots and hyphens, %d at most, and starts with a letter or a digit", quote(prefix), maxPrefix)
}

// bucket returns the bucket of a container. No two ids have the same one.
func (s *store) bucket(id string) (string, error) {
	if id == "" {
		return "", invalid("the container has no id")
	}
	if name := s.prefix + id; !strings.HasPrefix(id, encodedMark) && validBucket(name) {
		return name, nil
	}
	name := s.prefix + encodedMark + strings.ToLower(encoding.EncodeToString([]byte(id)))
	if len(name) > maxBucket {
		return "", invalid("the id %s of the container is too long for the name of a bucket: give it at most %d bytes, or up to %d lower-case letters, digits and hyphens",
			quote(id), (maxBucket-len(s.prefix)-len(encodedMark))*5/8, maxBucket-len(s.prefix))
	}
	return name, nil
}

// validBucket tells whether S3 has buckets of that name, wherever they are made:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validBucket(name string) bool {
	if len(name) < 3 || len(name) > maxBucket || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		inside := i > 0 && i < len(name)-1
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || inside && (c == '-' || c == '.')) {
			return false
		}
	}
	for _, reserved := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, reserved) {
			return false
		}
	}
	for _, reserved := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, reserved) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// validKey tells whether an id can be the key of an object.
func validKey(id string) error {
	switch {
	case id == "":
		return invalid("the blob has no id")
	case len(id) > maxKey:
		return invalid("the id %s of the blob has %d bytes: %d are the limit", quote(id), len(id), maxKey)
	case strings.Contains(id, "\x00"):
		return invalid("the id %s of the blob holds the character 0, which no S3 server takes", quote(id))
	}
	for segment := range strings.SplitSeq(id, "/") {
		if segment == "." || segment == ".." {
			return invalid("the id %s of the blob has a segment %q, which would mean another place to many S3 servers", quote(id), segment)
		}
	}
	return nil
}

// quote quotes a name from a guest, which may be long and hold anything.
func quote(name string) string {
	const limit = 100
	if len(name) > limit {
		return strconv.Quote(strings.ToValidUTF8(name[:limit], "")) + "..."
	}
	return strconv.Quote(name)
}
