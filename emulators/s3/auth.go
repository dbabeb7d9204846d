package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	service   = "s3"
	dateForm  = "20060102T150405Z"

	maxSkew = 15 * time.Minute   // between the two clocks
	maxLife = 7 * 24 * time.Hour // of a presigned URL

	unsigned = "UNSIGNED-PAYLOAD"
)

// signature is the one of a request that was checked, Signature Version 4, as
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
// has it.
type signature struct {
	date    string // of the request, in dateForm
	scope   string
	key     []byte // that signs
	value   string
	payload string // the hash of the payload, or a word for it
}

// claim is what a request says of its signature.
type claim struct {
	credential, date, signed, value string
	payload                         string
	presigned                       bool
}

// keys are those of the server's only user.
type keys struct{ access, secret string }

// check tells whether a request is signed by the user.
func (k keys) check(r *http.Request, query url.Values, now time.Time) (*signature, error) {
	c, err := claimOf(r, query, now)
	if err != nil {
		return nil, err
	}
	scope := strings.Split(c.credential, "/")
	if len(scope) != 5 || scope[3] != service || scope[4] != "aws4_request" || !strings.HasPrefix(c.date, scope[1]) {
		return nil, fail("AuthorizationHeaderMalformed", "The authorization header is malformed; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".")
	}
	if scope[0] != k.access {
		return nil, fail("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	}
	if scope[2] != Region {
		return nil, &apiError{code: "AuthorizationHeaderMalformed", message: "The authorization header is malformed; the region '" + scope[2] + "' is wrong; expecting '" + Region + "'", region: Region}
	}
	canonical, err := canonicalRequest(r, query, c)
	if err != nil {
		return nil, err
	}
	s := &signature{date: c.date, scope: strings.Join(scope[1:], "/"), payload: c.payload}
	s.key = []byte("AWS4" + k.secret)
	for _, step := range scope[1:] {
		s.key = mac(s.key, step)
	}
	s.value = s.sign(algorithm, hashOf([]byte(canonical)))
	if !hmac.Equal([]byte(s.value), []byte(c.value)) {
		return nil, fail("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	}
	return s, nil
}

// sign signs lines that follow the date and the scope.
func (s *signature) sign(kind string, lines ...string) string {
	text := strings.Join(slices.Concat([]string{kind, s.date, s.scope}, lines), "\n")
	return hex.EncodeToString(mac(s.key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// claimOf finds the signature in the header or in the query.
func claimOf(r *http.Request, query url.Values, now time.Time) (*claim, error) {
	header := r.Header.Get("Authorization")
	if header == "" && query.Has("X-Amz-Algorithm") {
		return presigned(query, now)
	}
	if header == "" && !query.Has("AWSAccessKeyId") { // which is Version 2
		return nil, fail("AccessDenied", "Access Denied.")
	}
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return nil, fail("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use "+algorithm+".")
	}
	c := &claim{date: r.Header.Get("X-Amz-Date"), payload: r.Header.Get("X-Amz-Content-Sha256")}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			c.credential = value
		case "SignedHeaders":
			c.signed = value
		case "Signature":
			c.value = value
		}
	}
	if c.payload == "" {
		return nil, fail("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	at, err := time.Parse(dateForm, c.date)
	if err != nil {
		return nil, fail("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
	}
	if at.Sub(now).Abs() > maxSkew {
		return nil, fail("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	}
	return c, nil
}

func presigned(query url.Values, now time.Time) (*claim, error) {
	malformed := func(message string) (*claim, error) {
		return nil, fail("AuthorizationQueryParametersError", message)
	}
	if query.Get("X-Amz-Algorithm") != algorithm {
		return malformed("X-Amz-Algorithm only supports \"" + algorithm + "\"")
	}
	c := &claim{
		credential: query.Get("X-Amz-Credential"), date: query.Get("X-Amz-Date"),
		signed: query.Get("X-Amz-SignedHeaders"), value: query.Get("X-Amz-Signature"),
		payload: unsigned, presigned: true,
	}
	at, err := time.Parse(dateForm, c.date)
	if err != nil {
		return malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	seconds, err := strconv.ParseInt(query.Get("X-Amz-Expires"), 10, 64)
	life := time.Duration(seconds) * time.Second
	switch {
	case err != nil || seconds < 0 || seconds > int64(maxLife/time.Second):
		return malformed("X-Amz-Expires must be a non-negative number of seconds, at most a week")
	case now.After(at.Add(life)):
		return nil, fail("AccessDenied", "Request has expired")
	case at.After(now.Add(maxSkew)):
		return nil, fail("AccessDenied", "Request is not valid yet")
	}
	return c, nil
}

// canonicalRequest is the form of a request that is signed.
func canonicalRequest(r *http.Request, query url.Values, c *claim) (string, error) {
	signed := strings.Split(c.signed, ";")
	if !slices.Contains(signed, "host") {
		return "", fail("AccessDenied", "There were headers present in the request which were not signed: host")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(signed, name) {
			return "", fail("AccessDenied", "There were headers present in the request which were not signed: "+name)
		}
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(r.URL.Path, true) + "\n" + canonicalQuery(query) + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + c.signed + "\n" + c.payload)
	return b.String(), nil
}

func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ",")
	}
	var values []string
	for _, v := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(values, ",")
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape percent-encodes what is not unreserved, byte by byte.
func escape(s string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
