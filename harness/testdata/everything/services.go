package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/extras"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
	"github.com/waxosuit/waxo/guest/go/msg"
)

func httpServer(r *http.Request) (*http.Response, error) {
	var t transcript
	t.did("HandleRequest", r.Method+" "+r.Path, r.PathValue("part"), r.Query().Get("q"), r.Header.Get("X-Sent"), r.Body)
	resp := http.Text(418, t.String())
	resp.Header.Set("X-Answered", "ä")
	return resp, nil
}

// httpClient sends requests to the server that the parameter url names.
func httpClient(t *transcript, r *http.Request) {
	url := r.Query().Get("url")
	sent := http.ClientRequest{Method: "PUT", URL: url + "/a%20b?c=d#e", Body: []byte("body\x00")}
	sent.Header.Set("X-Sent", "ä")
	for _, request := range []*http.ClientRequest{
		&sent, {URL: url}, {URL: url + "/redirect"}, {URL: url + "/absent"},
		{URL: "http://127.0.0.1:1/"}, {URL: "/relative"}, {Method: "GE T", URL: url},
	} {
		given := request.Method + " " + request.URL
		resp, err := http.Do(request)
		if err != nil {
			t.did("PerformRequest", given, err)
			continue
		}
		t.did("PerformRequest", given, resp.Status, resp.Header.Get("X-Seen"), resp.Header.Get("Set-Cookie"), resp.Body)
	}
}

func messaging(t *transcript, _ *http.Request) {
	t.did("Publish", "everything.note", msg.Publish("everything.note", []byte("世界\x00\xff")))
	t.did("Publish", "everything.note with a reply_to", msg.Send(&msg.Message{Subject: "everything.note", ReplyTo: "everything.note.reply"}))
	t.did("Publish", "nothing.of.ours", msg.Publish("nothing.of.ours", nil))
	t.did("Publish", "everything.*", msg.Publish("everything.*", nil))
	request := func(subject string, body string, milliseconds int) {
		answer, err := msg.Request(subject, []byte(body), milliseconds)
		t.did("Request", subject+" "+body+" "+strconv.Itoa(milliseconds), answer, err)
	}
	request("everything.echo", "hello", 0)
	request("everything.echo", "", 20_000)
	request("nobody.there", "hello", 20_000)
	request("everything.echo", "hello", -1)
	request("everything.hole", "", 50)
}

func takeMessage(m *msg.Message) error {
	switch m.Subject {
	case "everything.echo":
		return m.Reply([]byte("DeliverMessage of " + m.Subject + " " + text(m.Body)))
	case "everything.hole":
		return nil
	}
	return note("DeliverMessage", m.Subject+" "+text(m.ReplyTo)+" "+text(m.Body))
}

func eventStreams(t *transcript, _ *http.Request) {
	query := func(stream string, w events.Window) {
		found, err := events.Query(stream, w)
		var all []string
		for _, e := range found {
			all = append(all, e.ID+" "+e.Stream+" "+pairs(e.Values))
		}
		window := text(w.From) + " " + text(w.To) + " " + text(w.Count)
		t.did("QueryStream", stream+" "+window, all, err)
	}
	query("orders", events.Window{})
	for _, e := range []events.Event{
		{Stream: "orders", Values: map[string]string{"id": "1", "世界": "🙂\x00"}},
		{Stream: "Other streams / *", Values: map[string]string{"id": "2"}},
		{Stream: "orders"},
		{Stream: "", Values: map[string]string{"id": "4"}},
	} {
		id, err := events.Write(e.Stream, e.Values)
		t.did("WriteEvent", e.Stream+" "+pairs(e.Values), id, err)
	}
	const past, future = 1, 1 << 45 // milliseconds
	query("orders", events.Window{})
	query("Other streams / *", events.Window{From: past, To: future})
	query("orders", events.Window{Count: 1})
	query("orders", events.Window{To: past})
	query("orders", events.Window{From: future})
}

func takeEvent(e *events.Event) error {
	if times, err := kv.Add("event "+e.ID, 1); err != nil || times > 1 {
		return err // it may come more than once
	}
	return note("DeliverEvent", e.ID+" "+e.Stream+" "+pairs(e.Values))
}

// pairs is a map as text.
func pairs(values map[string]string) string {
	var all []string
	for name, value := range values {
		all = append(all, strconv.Quote(name)+":"+strconv.Quote(value))
	}
	slices.Sort(all)
	return "{" + strings.Join(all, " ") + "}"
}

func logging(t *transcript, _ *http.Request) {
	for _, l := range []struct {
		level string
		write func(string)
	}{{"error", log.Error}, {"warn", log.Warn}, {"info", log.Info}, {"debug", log.Debug}, {"trace", log.Trace}} {
		l.write("everything: " + l.level + "\n世界")
		t.did("WriteLog", l.level)
	}
}

// extrasRoute cannot tell what it is given, as that is another thing each time, but
// whether it is as it must be.
func extrasRoute(t *transcript, _ *http.Request) {
	first, err := extras.GUID()
	t.did("RequestGuid", "", isGUID(first), err)
	second, err := extras.GUID()
	t.did("RequestGuid", "again", isGUID(second), first != second, err)
	for range 3 {
		n, err := extras.Sequence()
		t.did("RequestSequence", "", n, err)
	}
	n, err := extras.Random(7, 8)
	t.did("RequestRandom", "7 8", n, err)
	n, err = extras.Random(8, 7)
	t.did("RequestRandom", "8 7", n, err)
	within, values := true, make(map[uint32]bool)
	for range 100 {
		if n, err = extras.Random(1000, 2000); err != nil {
			break
		}
		within = within && n >= 1000 && n < 2000
		values[n] = true
	}
	t.did("RequestRandom", "1000 2000, a hundred times", within, len(values) > 50, err)
}

// isGUID tells whether it is one of version 4.
func isGUID(id string) bool {
	parts := strings.Split(id, "-")
	if len(parts) != 5 || strings.Trim(id, "0123456789abcdef-") != "" {
		return false
	}
	for i, length := range []int{8, 4, 4, 4, 12} {
		if len(parts[i]) != length {
			return false
		}
	}
	return parts[2][0] == '4' && strings.ContainsRune("89ab", rune(parts[3][0]))
}

// clockRoute compares the time with that of the parameter since, when the request
// was sent, in nanoseconds.
func clockRoute(t *transcript, r *http.Request) {
	since, _ := strconv.ParseInt(r.Query().Get("since"), 10, 64)
	now, err := clock.Now()
	late := now.Sub(time.Unix(0, since))
	t.did("Now", "", late >= 0, late < 10*time.Minute, err)
	next, err := clock.Now()
	t.did("Now", "again", next.Before(now), err)
}
