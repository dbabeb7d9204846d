package s3

import (
	"encoding/xml"
	"errors"
	"net/http"
)

// apiError is an error as S3 answers it.
type apiError struct {
	code, message string
	region        string // the right one, where that was the mistake
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func fail(code, message string) *apiError { return &apiError{code: code, message: message} }

// The errors that more than one place answers.
var (
	errNoSuchBucket = fail("NoSuchBucket", "The specified bucket does not exist")
	errNoSuchKey    = fail("NoSuchKey", "The specified key does not exist.")
	errNoSuchUpload = fail("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	errNotThere     = fail("NotImplemented", "A header or a parameter that you provided implies functionality that is not implemented")
	errIncomplete   = fail("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
	errDigest       = fail("BadDigest", "The Content-MD5 or checksum value that you specified did not match what we received.")
	errPrecondition = fail("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	errMalformedXML = fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
)

// statuses are those that are not 400.
var statuses = map[string]int{
	"AccessDenied": http.StatusForbidden, "InvalidAccessKeyId": http.StatusForbidden,
	"SignatureDoesNotMatch": http.StatusForbidden, "RequestTimeTooSkewed": http.StatusForbidden,
	"NoSuchBucket": http.StatusNotFound, "NoSuchKey": http.StatusNotFound, "NoSuchUpload": http.StatusNotFound,
	"MethodNotAllowed":        http.StatusMethodNotAllowed,
	"BucketAlreadyOwnedByYou": http.StatusConflict, "BucketNotEmpty": http.StatusConflict,
	"MissingContentLength": http.StatusLengthRequired,
	"PreconditionFailed":   http.StatusPreconditionFailed,
	"InvalidRange":         http.StatusRequestedRangeNotSatisfiable,
	"NotImplemented":       http.StatusNotImplemented,
	"InternalError":        http.StatusInternalServerError,
}

type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Region    string `xml:",omitempty"`
	Resource  string
	RequestID string `xml:"RequestId"`
}

// refuse answers an error.
func (c *call) refuse(err error) {
	var e *apiError
	if !errors.As(err, &e) {
		c.server.log.Error("a request failed", "method", c.r.Method, "path", c.r.URL.Path, "error", err)
		e = fail("InternalError", "We encountered an internal error. Please try again.")
	}
	status, ok := statuses[e.code]
	if !ok {
		status = http.StatusBadRequest
	}
	c.reply(status, &errorBody{Code: e.code, Message: e.message, Region: e.region, Resource: c.r.URL.Path, RequestID: c.id})
}
