package embedded_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// TestEveryServiceIsThere: what has a service has an embedded one, which can be
// copied while it serves; and nothing else has one.
func TestEveryServiceIsThere(t *testing.T) {
	for _, id := range []string{
		capability.KeyValue, capability.Messaging, capability.EventStreams, capability.Blobstore,
		capability.HTTPServer, capability.HTTPClient, capability.Logging, capability.Clock, capability.Extras, "acme:other",
	} {
		dir := t.TempDir()
		s, err := embedded.Start(t.Context(), id, filepath.Join(dir, "kept"), slog.New(slog.DiscardHandler))
		if (err == nil) != manifest.HasService(id) {
			t.Errorf("%s: %v", id, err)
		}
		if err != nil {
			continue
		}
		if s.URL() == "" {
			t.Errorf("%s is nowhere", id)
		}
		if err := s.Export(t.Context(), filepath.Join(dir, "copy")); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		kept, err := os.ReadDir(dir)
		if err != nil || len(kept) < 2 {
			t.Errorf("%s keeps %v, %v", id, kept, err)
		}
	}
}
