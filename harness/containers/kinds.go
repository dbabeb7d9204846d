package containers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/waxosuit/waxo/harness/images"
)

// kind is a kind of service.
type kind struct {
	name  string
	image string
	port  string // in the container, such as "6379/tcp"
	cmd   []string
	env   map[string]string
	dirs  []string // that it keeps its data in
	url   func(addr string) string
	// ready is one try to be answered at addr.
	ready func(ctx context.Context, addr string) error
}

var redis = kind{
	name: "redis", image: images.Redis, port: "6379/tcp",
	url:   func(addr string) string { return "redis://" + addr + "/0" },
	ready: redisAnswers,
}

var nats = kind{
	name: "nats", image: images.NATS, port: "4222/tcp",
	// Options alone: images differ in what goes before them.
	cmd:   []string{"--jetstream", "--store_dir", "/data"},
	url:   func(addr string) string { return "nats://" + addr },
	ready: natsAnswers,
}

// The credentials of the S3 server. They keep nobody out who is on this machine.
const (
	s3Key    = "waxo"
	s3Secret = "waxo-development"
	s3Region = "us-east-1"
)

var s3 = kind{
	name: "s3", image: images.S3, port: "7070/tcp",
	// Metadata goes into files beside the objects: not every file system that an
	// engine keeps containers on has extended attributes.
	cmd:  []string{"--port", ":7070", "posix", "--sidecar", "/meta", "/data"},
	env:  map[string]string{"ROOT_ACCESS_KEY": s3Key, "ROOT_SECRET_KEY": s3Secret, "VGW_REGION": s3Region},
	dirs: []string{"/data", "/meta"},
	url: func(addr string) string {
		u := url.URL{Scheme: "http", User: url.UserPassword(s3Key, s3Secret), Host: addr, RawQuery: "region=" + s3Region}
		return u.String()
	},
	ready: httpAnswers,
}

// dial opens a connection that ends with ctx.
func dial(ctx context.Context, addr string) (conn net.Conn, hangUp func(), err error) {
	conn, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return conn, func() { stop(); conn.Close() }, nil
}

func redisAnswers(ctx context.Context, addr string) error {
	conn, hangUp, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer hangUp()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "+PONG") {
		err = fmt.Errorf("it says %q", strings.TrimSpace(answer)) // such as -LOADING
	}
	return err
}

// natsAnswers asks JetStream about itself: a server takes connections before that
// works, and in a cluster not until there is a leader.
func natsAnswers(ctx context.Context, addr string) error {
	conn, hangUp, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer hangUp()
	const question = "CONNECT {\"verbose\":false}\r\nSUB answer 1\r\nPUB $JS.API.INFO answer 0\r\n\r\n"
	if _, err := io.WriteString(conn, question); err != nil {
		return err
	}
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(line, "-ERR"):
			return fmt.Errorf("it says %s", strings.TrimSpace(line))
		case strings.HasPrefix(line, "MSG answer"):
			body, err := lines.ReadString('\n')
			if err == nil && strings.Contains(body, `"error"`) {
				err = fmt.Errorf("JetStream says %s", strings.TrimSpace(body))
			}
			return err
		}
	}
}

func httpAnswers(ctx context.Context, addr string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return errors.New(response.Status)
	}
	return nil
}
