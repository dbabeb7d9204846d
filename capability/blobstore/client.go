package blobstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/waxosuit/waxo/capability"
)

const defaultRegion = "us-east-1"

// open makes the client of a binding. No error of it shows the url, because that
// holds a secret.
func open(opts *Options, b capability.Binding, d capability.Dispatcher) (*store, error) {
	for key := range b.Config {
		if key != "url" && key != "prefix" {
			return nil, invalid("wascap:blobstore has no configuration key %q: there are url and prefix", key)
		}
	}
	if err := validPrefix(b.Config["prefix"]); err != nil {
		return nil, err
	}
	o, err := clientOptions(b.Config["url"])
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   128, // one for each instance of a guest
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}
	o.HTTPClient = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s := &store{
		opts: opts, client: s3.New(*o), close: transport.CloseIdleConnections, prefix: b.Config["prefix"], dispatcher: d,
		where:   "the S3 server at " + *o.BaseEndpoint,
		log:     opts.Log.With("guest", b.GuestName, "binding", b.Name),
		uploads: make(map[blobName]*upload),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// clientOptions are those of a url, and ours.
func clientOptions(raw string) (*s3.Options, error) {
	const form = "http://KEY:SECRET@127.0.0.1:9000?region=us-east-1"
	if raw == "" {
		return nil, invalid("the binding needs a url, such as %s", form)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, invalid("the url of the binding is no URL of an S3 server, such as %s; what is special in KEY and SECRET is percent-encoded", form)
	}
	secret, ok := u.User.Password()
	if !ok || u.User.Username() == "" {
		return nil, invalid("the url of the binding has no access key: write it as %s", form)
	}
	credentials := aws.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
	o := &s3.Options{
		BaseEndpoint: aws.String(u.Scheme + "://" + u.Host), Region: defaultRegion, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		// What may have taken effect is not sent again (see attempts).
		Retryer: aws.NopRetryer{},
		// Requests are signed with the hash of what they carry; checksums
		// beyond that are not known to every server.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Logger:                     logging.Nop{},
	}
	for name, values := range u.Query() {
		switch name {
		case "region":
			if o.Region = values[0]; o.Region == "" || strings.Trim(o.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
				return nil, invalid("the region %q in the url of the binding is none: write one such as %s", o.Region, defaultRegion)
			}
		case "path_style":
			if o.UsePathStyle, err = strconv.ParseBool(values[0]); err != nil {
				return nil, invalid("path_style in the url of the binding is %q: true or false can be meant", values[0])
			}
		default:
			return nil, invalid("the url of the binding has a parameter %q: there are region and path_style", name)
		}
	}
	return o, nil
}

// reach asks the server whether it is there, and lets the client in.
func (s *store) reach(ctx context.Context) error {
	_, err := s.client.ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: aws.Int32(1)})
	var answer smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.ErrorCode() == "AccessDenied":
		return nil // the key may have rights on single buckets alone
	case errors.As(err, &answer) && refused[answer.ErrorCode()]:
		return invalid("%s refuses the access key: %s: %s; check the url of the binding", s.where, answer.ErrorCode(), answer.ErrorMessage())
	case errors.Is(err, context.Canceled):
		return capability.AsError(context.Canceled)
	}
	return &capability.Error{
		Code:    capability.CodeUnavailable,
		Message: fmt.Sprintf("%s cannot be reached: %s; start it, or give the binding another url", s.where, short(err)),
	}
}

// refused are the answers to a wrong key, secret or region.
var refused = map[string]bool{
	"InvalidAccessKeyId": true, "SignatureDoesNotMatch": true, "AuthorizationHeaderMalformed": true, "InvalidToken": true,
}
