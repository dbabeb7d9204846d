package s3_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/waxosuit/waxo/emulators/s3"
)

func start(t testing.TB, opts *s3.Options) *s3.Server {
	t.Helper()
	server, err := s3.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// connect returns a client for the URL of a server.
func connect(t testing.TB, raw string, options ...func(*client.Options)) *client.Client {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	credentials := aws.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return client.New(client.Options{
		BaseEndpoint: aws.String("http://" + u.Host), Region: u.Query().Get("region"), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		HTTPClient:  &http.Client{Transport: transport}, Retryer: aws.NopRetryer{},
	}, options...)
}

// code is that of an error of the server.
func code(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

func wantCode(t testing.TB, what string, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("%s fails with %q; want %q", what, got, want)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
