package plugin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxImage is the size in bytes beyond which a file is not taken for a plugin.
const maxImage = 1 << 30

// image is a copy of a plugin's file that nobody else can change: what was
// checked is what is executed, whatever becomes of the file meanwhile.
type image struct {
	sum  [sha256.Size]byte
	path string   // to execute; in the child, file is its descriptor 3
	file *os.File // nil where path is a file's name
	dir  string   // holds path's file
}

// newImage makes an empty image and a file to write into it.
type newImage func(name string) (*image, *os.File, error)

// copyImage copies a plugin's file and hashes what it has copied.
func copyImage(name string) (*image, error) { return copyTo(name, memoryImage, diskImage) }

// copyTo does so with the first kind of image that can be had.
func copyTo(name string, kinds ...newImage) (*image, error) {
	source, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if info, err := source.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() || info.Size() > maxImage {
		return nil, fmt.Errorf("%s is no file of at most %d MiB", name, maxImage>>20)
	}
	var im *image
	var target *os.File
	for _, make := range kinds {
		if im, target, err = make(filepath.Base(name)); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(sum, target), io.LimitReader(source, maxImage)); err != nil {
		target.Close()
		im.close()
		return nil, fmt.Errorf("copy %s: %w", name, err)
	}
	sum.Sum(im.sum[:0])
	if err := im.seal(target); err != nil {
		im.close()
		return nil, fmt.Errorf("copy %s: %w", name, err)
	}
	return im, nil
}

// diskImage makes an image in a folder that only this user can look into.
func diskImage(name string) (*image, *os.File, error) {
	dir, err := os.MkdirTemp("", "waxo-plugin-")
	if err != nil {
		return nil, nil, err
	}
	im := &image{dir: dir, path: filepath.Join(dir, name)}
	target, err := os.OpenFile(im.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		im.close()
		return nil, nil, err
	}
	return im, target, nil
}

// close removes what is left of the image. A process that runs it goes on, but
// on Windows, where it must have ended.
func (im *image) close() error {
	var errs []error
	if im.file != nil {
		errs = append(errs, im.file.Close())
		im.file = nil
	}
	if im.dir != "" {
		errs = append(errs, os.RemoveAll(im.dir))
		im.dir = ""
	}
	return errors.Join(errs...)
}
