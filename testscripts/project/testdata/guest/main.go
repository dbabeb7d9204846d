// A guest that has something for every command of scripts: it counts, does jobs
// that messages bring, asks for prices, and tells the time.
package main

import (
	"strconv"

	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
	"github.com/waxosuit/waxo/guest/go/msg"
)

func init() {
	var r http.Router
	r.Handle("GET /", show)
	r.Handle("POST /", add)
	r.Handle("POST /price/{item}", price)
	r.Handle("GET /time", now)
	r.Handle("GET /away", func(*http.Request) (*http.Response, error) {
		resp := http.Text(302, "")
		resp.Header.Set("Location", "/")
		return resp, nil
	})
	http.Handle(r.Serve)
	msg.Handle(work)
}

func main() {}

func show(*http.Request) (*http.Response, error) {
	count, _, err := kv.Get("count")
	if err != nil {
		return nil, err
	}
	if count == "" {
		count = "0"
	}
	return answer("count", count), nil
}

func add(r *http.Request) (*http.Response, error) {
	n, err := kv.Add("count", 1)
	if err != nil {
		return nil, err
	}
	log.Info("counted to " + strconv.Itoa(int(n)))
	if len(r.Body) > 0 {
		return http.Text(200, r.Header.Get("Content-Type")+" "+string(r.Body)), nil
	}
	return answer("count", strconv.Itoa(int(n))), nil
}

func price(r *http.Request) (*http.Response, error) {
	found, err := msg.Request("prices."+r.PathValue("item"), nil, 5_000)
	if err != nil {
		return nil, err
	}
	return answer("price", string(found)), nil
}

func now(*http.Request) (*http.Response, error) {
	t, err := clock.Now()
	if err != nil {
		return nil, err
	}
	return answer("year", strconv.Itoa(t.UTC().Year())), nil
}

func answer(name, value string) *http.Response {
	resp := http.JSON(200, []byte(`{"`+name+`":`+value+`,"by":"jobs"}`))
	resp.Header.Set("X-Version", version)
	return resp
}

func work(m *msg.Message) error {
	if m.Subject == "jobs.echo" {
		return m.Reply(m.Body)
	}
	if err := kv.Set("done", string(m.Body)); err != nil {
		return err
	}
	return msg.Publish("jobs.done", m.Body)
}
