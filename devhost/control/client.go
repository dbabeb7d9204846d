package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"
)

// dialTimeout bounds the question whether somebody listens.
const dialTimeout = 2 * time.Second

// Client asks a running host.
type Client struct {
	to   announcement
	http http.Client
}

// Dial finds the host that serves the folder dir, and asks whether it is there. The
// error matches ErrNotRunning where it is not, and does not where somebody listens who
// does not answer.
func Dial(ctx context.Context, dir string) (*Client, error) {
	a, err := readAnnouncement(dir)
	if err != nil {
		return nil, err
	}
	c := newClient(a)
	ping, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.ping(ping); err != nil {
		c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ping.Err() != nil && isAlive(a.PID) {
			return nil, fmt.Errorf("process %d, which serves this project, does not answer: continue it, or end it", a.PID)
		}
		return nil, notRunning(fmt.Sprintf("process %d, which did, has ended", a.PID))
	}
	return c, nil
}

// isAlive tells whether there is a process, as far as that can be found out.
func isAlive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return runtime.GOOS == "windows" || err == nil || errors.Is(err, os.ErrPermission)
}

func newClient(a announcement) *Client {
	return &Client{to: a, http: http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1}, // no proxy: it is this machine
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ping does not wait for a second try.
func (c *Client) ping(ctx context.Context) error { return c.Call(ctx, pingRequest, nil, nil) }

// Close gives up the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call makes a request and decodes the answer into result, unless that is nil. The
// error is an *Error where it is the host's own.
func (c *Client) Call(ctx context.Context, name string, request, result any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.to.Address+prefix+name, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.to.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			return errors.New("control: what answers is no waxo: " + resp.Status)
		}
		return &Error{f.Error}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(data, result); err != nil {
		return fmt.Errorf("control: the answer cannot be read: %w", err)
	}
	return nil
}
