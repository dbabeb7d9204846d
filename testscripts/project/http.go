package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/testscripts/script"
)

func httpCommands() []command {
	return []command{
		{Command: script.Command{
			Name: "http", Args: "[-H 'NAME: VALUE']... METHOD PATH [BODY|@FILE]",
			Short: "Sends a request to the guest's HTTP server. It fails where the status is 400 or more.",
			Long: "The response's body is written to stdout: JSON is indented and its names sorted, anything else is as it came; " +
				"a line feed is added to a last line that has none. A body that is a JSON object or list is sent as `application/json`, another one as `text/plain`, " +
				"unless `-H` names a type. Redirects are not followed.",
			Example: "http POST /\njson .count 1\nhttp -H 'X-Sent: yes' POST / '{\"note\":\"tea\"}'\nstatus 200\nstdout tea\n! http GET /nowhere\nstatus 404\nstderr 'not found'",
		}, run: runHTTP},
		{Command: script.Command{
			Name: "status", Args: "CODE",
			Short:   "Checks the status of the last response.",
			Example: "http GET /\nstatus 200",
		}, run: checkStatus, looks: true},
		{Command: script.Command{
			Name: "header", Args: "NAME [VALUE | ~ REGEXP]",
			Short:   "Checks a header of the last response: that it is there, is VALUE, or matches. One that was sent several times is joined by commas.",
			Example: "http GET /\nheader content-type ~ ^application/json\n! header location",
		}, run: checkHeader, looks: true},
		{Command: script.Command{
			Name: "json", Args: "PATH [VALUE | ~ REGEXP]",
			Short: "Checks a part of the JSON on stdout: that it is there, is VALUE, or matches.",
			Long: "PATH is `.name`, `.\"a name\"`, `[0]`, `[-1]` for the last element, `.#` for the number of elements, one after another; `.` is all of it. " +
				"VALUE is JSON, or a text as it is. Any command may have written stdout, `exec` too.",
			Example: "call wascap:http_server HandleRequest '{\"method\":\"GET\",\"path\":\"/\"}'\njson .status_code 200\njson .header.Content-Type ~ json\njson .# 3\n! json .error",
		}, run: checkJSON, looks: true},
	}
}

func runHTTP(ctx context.Context, c *call) error {
	request, err := c.request(ctx)
	if err != nil {
		return err
	}
	c.response = nil
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("the response's body: %w", err)
	}
	c.response = response
	c.print(show(response.Header.Get("Content-Type"), body))
	if response.StatusCode >= 400 {
		text := fmt.Sprintf("%s %s is answered with %s", request.Method, request.URL.RequestURI(), response.Status)
		if len(body) > 0 {
			text += ": " + excerpt(string(body))
		}
		return errors.New(text)
	}
	return nil
}

// request makes a request of a command's arguments, and has the guest run.
func (c *call) request(ctx context.Context) (*http.Request, error) {
	header := make(http.Header)
	args := c.args
	for len(args) > 1 && args[0] == "-H" {
		name, value, ok := strings.Cut(args[1], ":")
		if !ok {
			return nil, usagef("%q is no header: write -H 'Name: value'", args[1])
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		args = args[2:]
	}
	if len(args) < 2 || len(args) > 3 {
		return nil, usagef("there are %d arguments", len(args))
	}
	if !strings.HasPrefix(args[1], "/") {
		return nil, usagef("the path %q does not begin with /", args[1])
	}
	body := ""
	if len(args) == 3 {
		var err error
		if body, err = c.text(args[2]); err != nil {
			return nil, err
		}
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", typeOf(body))
		}
	}
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, args[0], base+args[1], strings.NewReader(body))
	if err != nil {
		return nil, usage{err}
	}
	request.Header = header
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	return request, nil
}

// base is where the guest's server is. One that was halted is not started again:
// that it does not answer may be what the script is about.
func (c *call) base() (string, error) {
	if c.halted != "" {
		return c.halted, nil
	}
	if err := c.serve(); err != nil {
		return "", err
	}
	if base := c.stand.URL(); base != "" {
		return base, nil
	}
	return "", usagef("the guest has no HTTP server: it does not claim wascap:http_server")
}

func typeOf(body string) string {
	if v, err := decodeJSON(body); err == nil {
		switch v.(type) {
		case map[string]any, []any:
			return "application/json"
		}
	}
	return "text/plain; charset=utf-8"
}

// show is a body as stdout has it.
func show(contentType string, body []byte) string {
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "application/json" || strings.HasSuffix(media, "+json") {
		if v, err := decodeJSON(string(body)); err == nil {
			return prettyJSON(v)
		}
	}
	return string(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
}

// answered is the last response.
func (c *call) answered() (*http.Response, error) {
	if c.response == nil {
		return nil, usagef("there is no response yet: http comes first")
	}
	return c.response, nil
}

func checkStatus(_ context.Context, c *call) error {
	if err := c.takes(1, 1); err != nil {
		return err
	}
	if code, err := strconv.Atoi(c.args[0]); err != nil || code < 100 || code > 999 {
		return usagef("%q is no status", c.args[0])
	}
	r, err := c.answered()
	if err != nil {
		return err
	}
	if strconv.Itoa(r.StatusCode) != c.args[0] {
		return fmt.Errorf("the status is %s, not %s", r.Status, c.args[0])
	}
	return nil
}

func checkHeader(_ context.Context, c *call) error {
	if err := c.takes(1, 3); err != nil {
		return err
	}
	r, err := c.answered()
	if err != nil {
		return err
	}
	name := textproto.CanonicalMIMEHeaderKey(c.args[0])
	values, ok := r.Header[name]
	if !ok {
		return fmt.Errorf("the response has no header %s", name)
	}
	got := strings.Join(values, ", ")
	return compare("the header "+name, got, c.args[1:], func(want string) bool { return got == want })
}

func checkJSON(_ context.Context, c *call) error {
	if err := c.takes(1, 3); err != nil {
		return err
	}
	v, err := decodeJSON(c.in)
	if err != nil {
		return fmt.Errorf("stdout is no JSON: %w: %s", err, excerpt(c.in))
	}
	if v, err = find(v, c.args[0]); err != nil {
		return err
	}
	return compare(c.args[0], shortJSON(v), c.args[1:], func(want string) bool { return sameJSON(v, want) })
}
