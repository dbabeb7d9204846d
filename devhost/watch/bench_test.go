package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkScan is what a look costs in a tree of 2,000 files in 100 folders,
// beside the least that it could cost: a walk that only asks for sizes and times.
func BenchmarkScan(b *testing.B) {
	root := b.TempDir()
	past := time.Now().Add(-time.Hour)
	for i := range 2000 {
		name := filepath.Join(root, fmt.Sprintf("d%02d", i%100), fmt.Sprintf("f%d.go", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, make([]byte, 4096), 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(name, past, past); err != nil {
			b.Fatal(err)
		}
	}
	s := &scanner{root: root, include: []string{"**/*.go", "go.mod"}}
	first, err := s.scan(nil, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("first", func(b *testing.B) { benchmarkScan(b, s, nil) })
	b.Run("again", func(b *testing.B) { benchmarkScan(b, s, first) })
	b.Run("limit", func(b *testing.B) {
		for b.Loop() {
			err := filepath.WalkDir(root, func(_ string, d os.DirEntry, err error) error {
				if err == nil {
					_, err = d.Info()
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkScan(b *testing.B, s *scanner, last *tree) {
	for b.Loop() {
		if _, err := s.scan(last, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
