package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/waxosuit/waxo/wascap"
)

// ReadModule reads a module whose claims hold now.
func ReadModule(file string) ([]byte, *wascap.Claims, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	token, err := wascap.Verify(module, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, Plainly(err))
	}
	return module, &token.Claims, nil
}

// Plainly takes from an error about claims what is for programmers.
func Plainly(err error) error {
	if v := new(wascap.VerifyError); errors.As(err, &v) {
		return v
	}
	return err
}
