// A guest that writes events, and notes those that it is given.
package main

import (
	"strings"

	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

const stream, given = "ledger", "given"

func init() {
	var r http.Router
	r.Handle("POST /{entry}", func(r *http.Request) (*http.Response, error) {
		id, err := events.Write(stream, map[string]string{"entry": r.PathValue("entry")})
		return http.Text(200, id), err
	})
	r.Handle("GET /written", func(*http.Request) (*http.Response, error) {
		found, err := events.Query(stream, events.Window{})
		var entries []string
		for _, e := range found {
			entries = append(entries, e.Values["entry"])
		}
		return http.Text(200, strings.Join(entries, "\n")), err
	})
	r.Handle("GET /given", func(*http.Request) (*http.Response, error) {
		entries, err := kv.SetMembers(given)
		return http.Text(200, strings.Join(entries, "\n")), err
	})
	http.Handle(r.Serve)
	events.Handle(func(e *events.Event) error {
		_, err := kv.SetAdd(given, e.Values["entry"])
		return err
	})
}

func main() {}
