// A guest whose handlers do what a test asks for: the body of a request names the
// deed.
package main

import (
	"errors"
	"strconv"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/extras"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
)

func init() {
	var r http.Router
	r.Handle("POST /echo", echo)
	r.Handle("POST /fail/{how}", fail)
	r.Handle("POST /keep", keep)
	r.Handle("POST /stray", stray)
	r.Handle("POST /stray/ask", askStray)
	r.Handle("POST /goroutines", goroutines)
	r.Handle("GET /host", host)
	r.Handle("/fetch", fetch)
	http.Handle(r.Serve)
	waxo.Handle("vendor:echo!Reverse", reverse)
	waxo.OnHealth(func() error { return unwell })
}

func main() { panic("main ran") }

var (
	unwell error
	kept   string
)

func echo(r *http.Request) (*http.Response, error) {
	resp := &http.Response{Body: r.Body}
	for name, value := range r.Header.All() {
		resp.Header.Set(name, value)
	}
	return resp, nil
}

func fail(r *http.Request) (*http.Response, error) {
	var nothing *http.Response
	var counts map[string]int
	switch r.PathValue("how") {
	case "error":
		return nil, errors.New("the deed failed")
	case "panic":
		panic("the deed panicked")
	case "nil":
		return nothing, waxoNil(nothing)
	case "index":
		return http.Text(200, string(r.Body[len(r.Body)])), nil
	case "map":
		counts["a"]++
	case "typed nil":
		var err *waxo.Error
		return nil, err
	case "unwell":
		unwell = errors.New("the probe is unwell")
	case "none":
		return nil, nil
	case "header":
		resp := http.Text(200, "")
		resp.Header.Set("X-Split", "a\r\nSet-Cookie: b")
		return resp, nil
	case "deadlock":
		<-make(chan int)
	}
	return http.Text(200, "no failure"), nil
}

// fetch passes a request on to the URL in its query, and the response back.
func fetch(r *http.Request) (*http.Response, error) {
	out := &http.ClientRequest{Method: r.Method, URL: r.Query().Get("url"), Body: r.Body}
	for name, value := range r.Header.All() {
		out.Header.Set(name, value)
	}
	return http.Do(out)
}

func waxoNil(r *http.Response) error {
	r.Status = 1
	return nil
}

// keep answers with what it kept of the request before.
func keep(r *http.Request) (*http.Response, error) {
	before := kept
	kept = r.Header.Get("X-Keep") + r.RawQuery
	return http.Text(200, before), nil
}

// strayQuestion and strayAnswer reach the goroutine that stray left behind.
var (
	strayQuestion chan bool
	strayAnswer   chan string
)

// stray leaves a goroutine behind that still has the request.
func stray(r *http.Request) (*http.Response, error) {
	strayQuestion, strayAnswer = make(chan bool), make(chan string)
	go func() {
		<-strayQuestion
		strayAnswer <- r.Path + "?" + r.RawQuery + " " + r.Header.Get("X-Keep")
	}()
	return http.Text(200, "left"), nil
}

func askStray(*http.Request) (*http.Response, error) {
	strayQuestion <- true
	return http.Text(200, <-strayAnswer), nil
}

// goroutines has eight goroutines call the host at the same time.
func goroutines(*http.Request) (*http.Response, error) {
	const n = 8
	done := make(chan error, n)
	for i := range n {
		go func() {
			key, want := "key"+strconv.Itoa(i), "value"+strconv.Itoa(i)
			if err := kv.Set(key, want); err != nil {
				done <- err
				return
			}
			time.Sleep(time.Millisecond)
			if got, _, err := kv.Get(key); err != nil || got != want {
				done <- errors.Join(err, errors.New("got "+got))
				return
			}
			done <- nil
		}()
	}
	var err error
	for range n {
		err = errors.Join(err, <-done)
	}
	return http.Text(200, "done"), err
}

// host calls each capability once.
func host(*http.Request) (*http.Response, error) {
	log.Info("hello")
	log.Console("plain")
	now, err := clock.Now()
	if err != nil {
		return nil, err
	}
	guid, err := extras.GUID()
	if err != nil {
		return nil, err
	}
	_, ok, err := kv.Open("elsewhere").Get("absent")
	if err != nil {
		return nil, err
	}
	_, err = waxo.Call("default", "vendor:absent", "vendor:absent!Do", []byte("x"))
	return http.Text(200, now.Format(time.RFC3339)+" "+strconv.Itoa(len(guid))+" "+strconv.FormatBool(ok)+" "+
		strconv.FormatBool(errors.Is(err, waxo.ErrDenied))), nil
}

func reverse(payload []byte) ([]byte, error) {
	for i, j := 0, len(payload)-1; i < j; i, j = i+1, j-1 {
		payload[i], payload[j] = payload[j], payload[i]
	}
	return payload, nil
}
