//go:build unix

package plugin

import (
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestImages has each kind of image executed after its file was changed.
func TestImages(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, kinds := range map[string][]newImage{
		"as usual": {memoryImage, diskImage},
		"on disk":  {func(string) (*image, *os.File, error) { return nil, nil, errors.ErrUnsupported }, diskImage},
	} {
		file := filepath.Join(t.TempDir(), "plugin")
		content := []byte("#!/bin/sh\necho as it was\n")
		if err := os.WriteFile(file, content, 0o700); err != nil {
			t.Fatal(err)
		}
		im, err := copyTo(file, kinds...)
		if err != nil {
			t.Fatal(err)
		}
		if im.sum != sha256.Sum256(content) {
			t.Errorf("%s: the hash is %x", name, im.sum)
		}
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho as others want it\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), im.path)
		if im.file != nil {
			if _, err := im.file.WriteAt([]byte("x"), 0); err == nil {
				t.Errorf("%s: it can be written to", name)
			}
			cmd.ExtraFiles = []*os.File{im.file}
		} else if info, err := os.Stat(im.dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the folder: %v, %v", name, info, err)
		}
		if out, err := cmd.Output(); err != nil || string(out) != "as it was\n" {
			t.Errorf("%s: executed, it says %q, %v", name, out, err)
		}
		for range 2 {
			if err := im.close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("what is left is %v, %v", left, err)
	}
}
