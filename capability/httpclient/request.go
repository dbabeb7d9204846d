package httpclient

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/httpfield"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// userAgent is what a guest is that does not say so itself.
const userAgent = "waxo/" + version

// newRequest makes of a payload what is sent.
func newRequest(ctx context.Context, payload []byte) (*http.Request, error) {
	var p httppb.Request
	if err := p.UnmarshalProto(payload); err != nil {
		return nil, invalid("the payload cannot be decoded: %s", err)
	}
	u, err := absolute(p.Path, p.QueryString)
	if err != nil {
		return nil, err
	}
	if p.Method == http.MethodConnect {
		return nil, invalid("a request cannot open a tunnel with CONNECT")
	}
	var body io.Reader
	if len(p.Body) > 0 {
		// A transport may still read it when the call has returned, and with it the
		// payload.
		body = bytes.NewReader(bytes.Clone(p.Body))
	}
	req, err := http.NewRequestWithContext(ctx, p.Method, "", body)
	if err != nil { // the method alone can be wrong
		return nil, invalid("%q is no method of HTTP", quotable(p.Method))
	}
	req.URL, req.Host = u, u.Host
	if err := setHeader(req, p.Header); err != nil {
		return nil, err
	}
	return req, nil
}

// absolute puts the URL together and checks it.
func absolute(path, query string) (*url.URL, error) {
	path, _, _ = strings.Cut(path, "#")
	if query != "" {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + query
	}
	if i := strings.IndexFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return nil, invalid("the URL has the character %q, which must be percent-encoded", []rune(path[i:])[0])
	}
	u, err := url.Parse(path)
	if err != nil {
		return nil, invalid("the path of a request is an absolute URL, such as https://example.com/; this one cannot be read")
	}
	if u.Scheme == "" || u.Opaque != "" {
		return nil, invalid("the path of a request is an absolute URL, such as https://example.com/, not %q", quotable(u.Redacted()))
	}
	_, err = targetOf(u)
	return u, err
}

// setHeader copies the fields that are the guest's to set.
func setHeader(req *http.Request, fields map[string]string) error {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	connection := []string{fields["Connection"], fields["connection"]}
	for _, given := range names {
		value, name := fields[given], http.CanonicalHeaderKey(given)
		if err := checkField(given, value); err != nil {
			return err
		}
		switch {
		case httpfield.Connection[name], name == "Expect", name == "Content-Length", httpfield.Lists(connection, name):
			continue
		case name == "Host":
			if !strings.EqualFold(value, req.URL.Host) {
				return invalid("the header Host is %q, but the URL leads to %q: leave it out", quotable(value), quotable(req.URL.Host))
			}
			continue
		}
		if other := req.Header[name]; other != nil && other[0] != value {
			return invalid("the header %s is there twice, spelt in two ways, with different values", name)
		}
		req.Header[name] = []string{value}
	}
	if _, given := req.Header["User-Agent"]; !given {
		req.Header["User-Agent"] = []string{userAgent}
	}
	return nil
}

// checkField refuses what would not be a header field in RFC 9110, 5.1 and 5.5.
func checkField(name, value string) error {
	valid := name != ""
	for i := range len(name) {
		valid = valid && httpfield.Token[name[i]]
	}
	if !valid {
		return invalid("%q is no name of a header", quotable(name))
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return invalid("the header %s holds the character %q", name, c)
		}
	}
	return nil
}

// bodyTag is the tag of the field "body" of http.Response, headerTag that of
// "header".
const (
	headerTag = 3<<3 | 2
	bodyTag   = 4<<3 | 2
)

// reason is the reason phrase of a status line.
func reason(resp *http.Response) string {
	phrase := strings.TrimPrefix(strings.TrimPrefix(resp.Status, strconv.Itoa(resp.StatusCode)), " ")
	if !utf8.ValidString(phrase) {
		return ""
	}
	return phrase
}

// tooLarge is the error for a response's body beyond the limit.
func tooLarge(limit int64) error {
	return &capability.Error{
		Code:    capability.CodeTooLarge,
		Message: "the response's body is larger than " + strconv.FormatInt(limit, 10) + " bytes; if that is meant, raise max_response in the config of the binding",
	}
}
