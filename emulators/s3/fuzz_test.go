package s3

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzJournal: whatever a journal holds, it is read or refused; and what was read
// is written in a form that is read to the same again.
func FuzzJournal(f *testing.F) {
	head := `{"waxo_s3":1}` + "\n"
	for _, text := range []string{
		"", head, "{}\n", head + `{"op":"bucket","bucket":"b"}` + "\n" + `{"op":"put","bucket":"b","key":"k","object":{"size":0,"etag":"e","modified":"2020-01-01T00:00:00Z"}}` + "\n",
		head + `{"op":"bucket","bucket":"b"}` + "\n" + `{"op":"upload","bucket":"b","key":"k","upload":"u","object":{}}` + "\n" + `{"op":"part","upload":"u","number":1,"part":{}}` + "\n" + `{"op":"unbucket","bucket":"b"}` + "\n",
		head + `{"op":"complete","upload":"u","object":{}}` + "\n", head + `{"op":"delete","bucket":"b"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		name := filepath.Join(dir, journalName)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for range 2 {
			s, err := openStore(dir, slog.New(slog.DiscardHandler))
			var state *StateError
			if errors.As(err, &state) && texts == nil {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(written))
		}
		if texts[0] != texts[1] {
			t.Errorf("%q was read as %q, and that as %q", text, texts[0], texts[1])
		}
	})
}

// FuzzChunks: whatever frames a body, it is decoded or refused, and never to more
// than there is.
func FuzzChunks(f *testing.F) {
	for _, text := range []string{"", "4\r\ndata\r\n0\r\n\r\n", "4;chunk-signature=x\r\ndata\r\n0\r\na:b\r\n\r\n", "ffffffffffffffff\r\n", "7fffffffffffffff\r\nx", "-1\r\n", "0\n0\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-" + algorithm + "-PAYLOAD"} {
			data, err := io.ReadAll(newChunks(strings.NewReader(text), &signature{payload: kind, value: "x"}))
			if len(data) > len(text) || err == nil && !strings.Contains(text, string(data)) && !strings.Contains(text, "\n") {
				t.Errorf("%q is decoded to %q, %v", text, data, err)
			}
			if err == nil && len(data) > 0 && kind != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
				t.Errorf("%q is taken, signed by nobody", text)
			}
		}
	})
}
