//go:build unix

package s3

import (
	"errors"
	"os"
)

// syncDir makes a rename last.
func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
