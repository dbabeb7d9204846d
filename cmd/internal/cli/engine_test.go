package cli

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutACacheFolderCodeStaysInMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, file)
	}
	var log bytes.Buffer
	engine, err := NewEngine("", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || !strings.Contains(log.String(), "in memory only") {
		t.Fatalf("%v, log %q", err, log.String())
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := NewEngine(file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the folder that was asked for was ignored")
	}
}
