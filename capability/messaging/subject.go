package messaging

import (
	"fmt"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
)

// maxSubject is the longest subject, in bytes. A server cuts off who sends a line
// of more than 4,096 bytes, and a line may hold two of them.
const maxSubject = 1024

// checkSubject tells whether a message can be sent to a subject.
func checkSubject(what, subject string) error {
	if err := checkWords(what, subject); err != nil {
		return err
	}
	for word := range strings.SplitSeq(subject, ".") {
		if word == "*" || word == ">" {
			return natsconn.Invalid("the %s %s has a wildcard, and a message goes to one subject", what, natsconn.Quote(subject))
		}
	}
	if subject[0] == '$' {
		return &capability.Error{
			Code:    capability.CodeDenied,
			Message: fmt.Sprintf("the %s %s is one of the server's own, as all that start with \"$\"; wascap:messaging does not grant them", what, natsconn.Quote(subject)),
		}
	}
	return nil
}

// checkPattern tells whether a subject, which may have wildcards, can be
// subscribed to.
func checkPattern(what, pattern string) error {
	if err := checkWords(what, pattern); err != nil {
		return err
	}
	if strings.Contains("."+pattern, ".>.") {
		return natsconn.Invalid("the %s %s has a \">\" that is not at its end", what, natsconn.Quote(pattern))
	}
	return nil
}

// checkWords checks what all subjects have in common.
func checkWords(what, subject string) error {
	switch {
	case subject == "":
		return natsconn.Invalid("the %s is empty", what)
	case len(subject) > maxSubject:
		return natsconn.Invalid("the %s has %d bytes, and may have %d", what, len(subject), maxSubject)
	case strings.HasPrefix(subject, "."), strings.HasSuffix(subject, "."), strings.Contains(subject, ".."):
		return natsconn.Invalid("the %s %s has an empty word: it must be of words with dots between", what, natsconn.Quote(subject))
	}
	for i := range len(subject) {
		if c := subject[i]; c <= ' ' || c == 0x7f {
			return natsconn.Invalid("the %s %s has a space or a control character in it", what, natsconn.Quote(subject))
		}
	}
	return nil
}

// private tells whether a subject is the server's own or holds answers to
// requests, which a subscription to everything is not meant to be given.
func private(subject string) bool {
	return strings.HasPrefix(subject, "$") || strings.HasPrefix(subject, "_INBOX.")
}
