package http1

import (
	"encoding/binary"
	"net/http"
	"sync/atomic"
	"time"
)

// What net/http finds out anew for every answer, at less cost.

// date is the header Date of all answers in one second.
type date struct {
	second int64
	value  string
}

var lastDate atomic.Pointer[date]

// dateAt returns the value of the header Date.
func dateAt(now time.Time) string {
	d := lastDate.Load()
	if second := now.Unix(); d == nil || d.second != second {
		d = &date{second, now.UTC().Format(http.TimeFormat)}
		lastDate.Store(d)
	}
	return d.value
}

// contentTypeOf returns the value of the header Content-Type that net/http would
// detect for a body.
func contentTypeOf(body []byte) string {
	if isPlainText(body) {
		return "text/plain; charset=utf-8"
	}
	return http.DetectContentType(body)
}

const (
	sniffed = 512 // bytes of a body that http.DetectContentType looks at

	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// isPlainText reports that http.DetectContentType would take a body for text
// without marks, as most are that come without a type. It may be wrong in saying
// no, for text that begins or goes on like something else.
func isPlainText(body []byte) bool {
	b := body[:min(len(body), sniffed)]
	if len(b) == 0 || !beginsText[b[0]] || len(b) >= 36 && string(b[34:36]) == "LP" { // the mark of a font
		return false
	}
	for ; len(b) >= 8; b = b[8:] {
		// A byte below 0x20 borrows from its top bit, unless that was set.
		if w := binary.LittleEndian.Uint64(b); (w-0x20*ones)&^w&tops != 0 && !isText(b[:8]) {
			return false
		}
	}
	return isText(b)
}

func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1b {
			return false
		}
	}
	return true
}

// beginsText has the first characters of text that are not those of any mark of
// another type which http.DetectContentType knows.
var beginsText = func() (begins [256]bool) {
	for _, c := range []byte("{[(\"'#-/*_0123456789ACDEHJKLNQSTUVXYZabcdefghijklmnopqrsuvxyz") {
		begins[c] = true
	}
	return begins
}()
