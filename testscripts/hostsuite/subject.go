package hostsuite

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// subject is the host that is checked, whatever way it is reached.
type subject interface {
	name() string

	// start has the host run the module in a file. The error is a *refusal where
	// the host does not want to.
	start(ctx context.Context, module string, s *settings) (running, error)

	// lacks tells why checks cannot be run that need something; "" where they can.
	lacks(need string) string
}

// running is a host that serves a module.
type running interface {
	// do has the guest handle an HTTP request. The error says that no answer came.
	do(ctx context.Context, r *request) (*response, error)

	// output has what the host and its guest have printed.
	output() *output

	// terminate tells the host to end.
	terminate() error

	// stop does so, and returns once it has ended. The error is one where its exit
	// status is not 0.
	stop(ctx context.Context) error

	// kill ends the host at once.
	kill()
}

// settings are what a script asks of a host.
type settings struct {
	callTimeout time.Duration
	memory      int64
	body        int
	env         []string

	hostCall func(ctx context.Context, call HostCall) ([]byte, error) // for libraries
}

// refusal says that a host did not start with a module.
type refusal struct{ text string }

// Error begins with the last line, which has the reason more often than not.
func (r *refusal) Error() string {
	text := strings.TrimSpace(r.text)
	return "the host refused the module: " + text[strings.LastIndexByte(text, '\n')+1:] + "\nIt said:\n" + text
}

// request is an HTTP request.
type request struct {
	method, path string // the path with the query, as it is sent
	header       http.Header
	body         []byte
}

// response is the answer to a request.
type response struct {
	status int
	header http.Header
	body   []byte
	cause  string // why there is no answer of the guest's, where the host says so
}
