package http1

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

// marks are beginnings by which http.DetectContentType knows a type.
var marks = []string{
	"<!DOCTYPE HTML>", " <html>", "\n<?xml", "<A ", "%PDF-", "%!PS-Adobe-", "\xfe\xff..", "\xff\xfe..", "\xef\xbb\xbf.",
	"\x00\x00\x01\x00", "BM", "GIF87a", "GIF89a", "RIFF....WEBPVP", "RIFF....AVI ", "RIFF....WAVE", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff",
	"FORM....AIFF", "ID3", "OggS\x00", "MThd\x00\x00\x00\x06", "\x00\x00\x00\x10ftypmp42....mp42", "\x1a\x45\xdf\xa3",
	"0123456789012345678901234567890123LP", "\x00\x01\x00\x00", "OTTO", "ttcf", "wOFF", "wOF2", "\x1f\x8b\x08", "PK\x03\x04",
	"Rar!\x1a\x07\x00", "Rar!\x1a\x07\x01\x00", "\x00asm",
}

func checkContentType(t *testing.T, body []byte) {
	t.Helper()
	want := http.DetectContentType(body)
	if got := contentTypeOf(body); got != want {
		t.Errorf("%.40q is %q, want %q", body, got, want)
	}
}

func TestContentTypeOf(t *testing.T) {
	for _, mark := range marks {
		for n := range len(mark) + 1 {
			checkContentType(t, []byte(mark[:n]))
			checkContentType(t, append([]byte(mark[:n]), bytes.Repeat([]byte("text "), 200)...))
		}
	}
	for c := range 256 { // at the beginning, and within a word and after it
		for _, at := range []int{0, 1, 7, 8, 35, 510, 511, 512} {
			body := bytes.Repeat([]byte("z"), 600)
			body[at] = byte(c)
			checkContentType(t, body)
			checkContentType(t, body[:at+1])
		}
	}
	// What the fast path is for takes it.
	for _, text := range []string{`{"count":1}`, "[1]", "ok\n", "hello, w\u00f6rld\n", "0123456789abcdef0123456789abcdef0123456789abcdef"} {
		if !isPlainText([]byte(text)) {
			t.Errorf("%q is not seen to be text", text)
		}
	}
}

func FuzzContentTypeOf(f *testing.F) {
	for _, mark := range marks {
		f.Add([]byte(mark))
		f.Add([]byte("{" + mark))
	}
	f.Fuzz(checkContentType)
}

func TestDateAt(t *testing.T) {
	for _, d := range []time.Duration{0, time.Nanosecond, time.Second - 1, time.Second, time.Hour, 0} {
		now := time.Date(2026, 11, 29, 23, 59, 59, 0, time.FixedZone("", 3600)).Add(d)
		if got, want := dateAt(now), now.UTC().Format(http.TimeFormat); got != want {
			t.Errorf("after %v: %q, want %q", d, got, want)
		}
	}
}
