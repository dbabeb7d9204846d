package s3_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	client "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/waxosuit/waxo/emulators/s3"
)

func unescape(t *testing.T, s string) string {
	t.Helper()
	return must[string](t)(url.PathUnescape(s))
}

func escape(s string) string { return strings.ReplaceAll(url.PathEscape(s), "+", "%2B") }

func TestCredentials(t *testing.T) {
	server := start(t, &s3.Options{AccessKey: "me", SecretKey: "p/ss w%rd:@"})
	list := func(url string) error {
		_, err := connect(t, url).ListBuckets(t.Context(), nil)
		return err
	}
	wantCode(t, "the right keys", list(server.URL()), "")
	wantCode(t, "a wrong secret", list("http://me:no@"+server.Addr()+"?region=us-east-1"), "SignatureDoesNotMatch")
	wantCode(t, "a wrong key", list("http://you:no@"+server.Addr()+"?region=us-east-1"), "InvalidAccessKeyId")
	wantCode(t, "a wrong region", list(strings.Replace(server.URL(), "us-east-1", "mars-1", 1)), "AuthorizationHeaderMalformed")
}

// request is what an attacker, or a client with a mistake, sends.
type request struct {
	method, path string
	body         string
	header       map[string]string // set before signing
	hash         string            // of the payload, "" for the right one
	at           time.Time
	change       func(r *http.Request) // after signing
}

func (q request) send(t *testing.T, server *s3.Server) string {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), q.method, "http://"+server.Addr()+q.path, strings.NewReader(q.body)))
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if q.hash == "" {
		sum := sha256.Sum256([]byte(q.body))
		q.hash = hex.EncodeToString(sum[:])
	}
	r.Header.Set("X-Amz-Content-Sha256", q.hash)
	if q.at.IsZero() {
		q.at = time.Now()
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "waxo", SecretAccessKey: "waxo-secret"}, r, q.hash, "s3", "us-east-1", q.at); err != nil {
		t.Fatal(err)
	}
	if q.change != nil {
		q.change(r)
	}
	return do(t, r)
}

// do sends a request and tells the code of the answer.
func do(t *testing.T, r *http.Request) string {
	t.Helper()
	resp := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer resp.Body.Close()
	body := must[[]byte](t)(io.ReadAll(resp.Body))
	if _, rest, ok := strings.Cut(string(body), "<Code>"); ok {
		code, _, _ := strings.Cut(rest, "</Code>")
		return code
	}
	return resp.Status
}

func TestSignatures(t *testing.T) {
	server := start(t, nil)
	if _, err := connect(t, server.URL()).CreateBucket(t.Context(), &client.CreateBucketInput{Bucket: aws.String("box")}); err != nil {
		t.Fatal(err)
	}
	crc := func(data string) string {
		sum := crc32.ChecksumIEEE([]byte(data))
		return base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	}
	put := func(q request) request { q.method, q.path, q.body = "PUT", "/box/k", "data"; return q }
	chunked := func(body, trailer string) request {
		return request{method: "PUT", path: "/box/k", body: body, hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header: map[string]string{"X-Amz-Decoded-Content-Length": "4", "X-Amz-Trailer": trailer}}
	}
	for name, test := range map[string]struct {
		request request
		want    string
	}{
		"right":                     {put(request{}), "200 OK"},
		"right by its MD5":          {put(request{header: map[string]string{"Content-Md5": "jXd/OF09/siBXSD3SWAm3A=="}}), "200 OK"},
		"wrong MD5":                 {put(request{header: map[string]string{"Content-Md5": "jXd/OF08/siBXSD3SWAm3A=="}}), "BadDigest"},
		"no MD5":                    {put(request{header: map[string]string{"Content-Md5": "x"}}), "InvalidDigest"},
		"right by its CRC":          {put(request{header: map[string]string{"X-Amz-Checksum-Crc32": crc("data")}}), "200 OK"},
		"wrong CRC":                 {put(request{header: map[string]string{"X-Amz-Checksum-Crc32": crc("date")}}), "BadDigest"},
		"unsigned payload":          {put(request{hash: "UNSIGNED-PAYLOAD"}), "200 OK"},
		"wrong payload":             {put(request{hash: strings.Repeat("0", 64)}), "XAmzContentSHA256Mismatch"},
		"no hash":                   {put(request{hash: "x"}), "InvalidArgument"},
		"another method":            {put(request{change: func(r *http.Request) { r.Method = "DELETE" }}), "SignatureDoesNotMatch"},
		"another key":               {put(request{change: func(r *http.Request) { r.URL.Path = "/box/l" }}), "SignatureDoesNotMatch"},
		"another host":              {put(request{change: func(r *http.Request) { r.Host = "evil.example" }}), "SignatureDoesNotMatch"},
		"another query":             {put(request{change: func(r *http.Request) { r.URL.RawQuery = "uploads" }}), "SignatureDoesNotMatch"},
		"a header more":             {put(request{change: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }}), "AccessDenied"},
		"no signature":              {put(request{change: func(r *http.Request) { r.Header.Del("Authorization") }}), "AccessDenied"},
		"old":                       {put(request{at: time.Now().Add(-16 * time.Minute)}), "RequestTimeTooSkewed"},
		"from the future":           {put(request{at: time.Now().Add(16 * time.Minute)}), "RequestTimeTooSkewed"},
		"of version 2":              {put(request{change: func(r *http.Request) { r.Header.Set("Authorization", "AWS waxo:x") }}), "InvalidRequest"},
		"malformed":                 {put(request{change: func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }}), "AuthorizationHeaderMalformed"},
		"chunks":                    {chunked("4\r\ndata\r\n0\r\nx-amz-checksum-crc32:"+crc("data")+"\r\n\r\n", "x-amz-checksum-crc32"), "200 OK"},
		"chunks with a wrong CRC":   {chunked("4\r\ndata\r\n0\r\nx-amz-checksum-crc32:"+crc("date")+"\r\n\r\n", "x-amz-checksum-crc32"), "BadDigest"},
		"chunks without their CRC":  {chunked("4\r\ndata\r\n0\r\n\r\n", "x-amz-checksum-crc32"), "InvalidRequest"},
		"chunks that are too short": {chunked("3\r\ndat\r\n0\r\nx-amz-checksum-crc32:"+crc("dat")+"\r\n\r\n", "x-amz-checksum-crc32"), "IncompleteBody"},
		"chunks that are too long":  {chunked("5\r\ndata!\r\n0\r\n\r\n", "x-amz-checksum-crc32"), "IncompleteBody"},
		"chunks that are cut":       {chunked("4\r\nda", "x-amz-checksum-crc32"), "IncompleteBody"},
		"chunks of no size":         {chunked("-1\r\n", "x-amz-checksum-crc32"), "InvalidRequest"},
		"chunks of another hash":    {chunked("4\r\ndata\r\n0\r\n\r\n", "x-amz-checksum-md5"), "InvalidRequest"},
		"a key that is not UTF-8":   {request{method: "PUT", path: "/box/%ff", body: "x"}, "InvalidURI"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.request.send(t, server); got != test.want {
				t.Errorf("%s; want %s", got, test.want)
			}
		})
	}
}

// TestSignedChunks: a body whose chunks are signed one by one is taken, and is
// refused where one was changed.
func TestSignedChunks(t *testing.T) {
	server := start(t, nil)
	b := &box{t, connect(t, server.URL())}
	b.create("box")
	body := func(seed []byte, at time.Time, lie bool) io.Reader {
		credentials := aws.Credentials{AccessKeyID: "waxo", SecretAccessKey: "waxo-secret"}
		signer := newChunkSigner(credentials, at, hex.EncodeToString(seed))
		var out bytes.Buffer
		for _, chunk := range []string{"first ", "second", ""} {
			signature := signer.sign(chunk)
			if lie {
				chunk = strings.Replace(chunk, "second", "s3cond", 1)
			}
			out.WriteString(hexSize(len(chunk)) + ";chunk-signature=" + signature + "\r\n" + chunk + "\r\n")
		}
		return &out
	}
	for _, lie := range []bool{false, true} {
		at := time.Now()
		send := request{method: "PUT", path: "/box/k", hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", at: at,
			header: map[string]string{"X-Amz-Decoded-Content-Length": "12"},
			change: func(r *http.Request) {
				_, text, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
				r.Body = io.NopCloser(body(must[[]byte](t)(hex.DecodeString(text)), at, lie))
				r.ContentLength = -1
			}}
		want := map[bool]string{false: "200 OK", true: "SignatureDoesNotMatch"}[lie]
		if got := send.send(t, server); got != want {
			t.Errorf("with a lie %t: %s; want %s", lie, got, want)
		}
	}
	if got, err := b.get("k", ""); got != "first second" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPresigned(t *testing.T) {
	server := start(t, nil)
	b := &box{t, connect(t, server.URL())}
	b.create("box")
	b.put("k", "data")
	presign := func(at time.Time, life string, change func(query url.Values)) string {
		u := must[*url.URL](t)(url.Parse("http://" + server.Addr() + "/box/k"))
		u.RawQuery = "X-Amz-Expires=" + life
		r := must[*http.Request](t)(http.NewRequestWithContext(context.Background(), "GET", u.String(), nil))
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "waxo", SecretAccessKey: "waxo-secret"}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		u = must[*url.URL](t)(url.Parse(signed))
		if change != nil {
			query := u.Query()
			change(query)
			u.RawQuery = query.Encode()
		}
		return do(t, must[*http.Request](t)(http.NewRequestWithContext(t.Context(), "GET", u.String(), nil)))
	}
	for name, test := range map[string]struct{ got, want string }{
		"fresh":           {presign(time.Now(), "60", nil), "200 OK"},
		"an hour old":     {presign(time.Now().Add(-time.Hour), "3700", nil), "200 OK"},
		"expired":         {presign(time.Now().Add(-time.Minute), "59", nil), "AccessDenied"},
		"too early":       {presign(time.Now().Add(time.Hour), "60", nil), "AccessDenied"},
		"for too long":    {presign(time.Now(), "604801", nil), "AuthorizationQueryParametersError"},
		"prolonged":       {presign(time.Now(), "60", func(q url.Values) { q.Set("X-Amz-Expires", "61") }), "SignatureDoesNotMatch"},
		"of another user": {presign(time.Now(), "60", func(q url.Values) { q.Set("X-Amz-Credential", "x"+q.Get("X-Amz-Credential")) }), "InvalidAccessKeyId"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %s; want %s", name, test.got, test.want)
		}
	}
}

// chunkSigner signs chunks as the documentation of S3 says.
type chunkSigner struct {
	key         []byte
	date, scope string
	last        string
}

func newChunkSigner(c aws.Credentials, at time.Time, seed string) *chunkSigner {
	at = at.UTC()
	day := at.Format("20060102")
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, step := range []string{day, "us-east-1", "s3", "aws4_request"} {
		key = sum(key, step)
	}
	return &chunkSigner{key, at.Format("20060102T150405Z"), day + "/us-east-1/s3/aws4_request", seed}
}

func (s *chunkSigner) sign(chunk string) string {
	none, all := sha256.Sum256(nil), sha256.Sum256([]byte(chunk))
	text := strings.Join([]string{"AWS4-HMAC-SHA256-PAYLOAD", s.date, s.scope, s.last, hex.EncodeToString(none[:]), hex.EncodeToString(all[:])}, "\n")
	s.last = hex.EncodeToString(sum(s.key, text))
	return s.last
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSize(n int) string { return strconv.FormatInt(int64(n), 16) }
