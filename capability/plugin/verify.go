package plugin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/wascap"
)

// ClaimsSuffix is what the name of a plugin's claims has after the plugin's own.
const ClaimsSuffix = ".jwt"

// The reasons for which a plugin is not executed, besides a *wascap.VerifyError.
var (
	// ErrUnsigned: there are no claims beside the plugin's file.
	ErrUnsigned = errors.New("it has no claims beside it: sign it with waxo sign provider")
	// ErrUntrusted: the claims are not those of an account that the host trusts.
	ErrUntrusted = errors.New("the host does not trust the account that signed it")
	// ErrCapability: the plugin offers another capability than its claims say.
	ErrCapability = errors.New("it offers another capability than its claims say")
)

// RefusedError says that a plugin was not executed, or not let in, and why.
type RefusedError struct {
	Plugin string // the file
	Err    error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the plugin %s is refused: %v", e.Plugin, e.Err)
}

// Unwrap gives the reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// readClaims reads the token beside a plugin.
func readClaims(name string) (text string, signed bool, err error) {
	file, err := os.Open(name + ClaimsSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, wascap.MaxTokenSize+2)) // with the end of a line
	return strings.TrimRight(string(content), "\r\n"), true, err
}

// check makes an image of a plugin's file, and refuses it unless what is signed
// about it holds. The claims are nil for one that is not signed, which only a
// development host lets pass.
func check(name string, opts *Options) (*image, *wascap.Claims, error) {
	text, signed, err := readClaims(name)
	if err != nil {
		return nil, nil, err
	}
	if !signed && !opts.Development {
		return nil, nil, &RefusedError{name, ErrUnsigned}
	}
	im, err := copyImage(name)
	if err != nil || !signed {
		return im, nil, err
	}
	token, err := wascap.VerifyProvider(text, wascap.Target(runtime.GOOS, runtime.GOARCH), im.sum, time.Now())
	if v := new(wascap.VerifyError); errors.As(err, &v) {
		err = v // what wraps it is for programmers
	}
	if err == nil && !opts.Development && !slices.Contains(opts.Trust, token.Claims.Issuer) {
		err = fmt.Errorf("%w, %s: trust that one if you do", ErrUntrusted, token.Claims.Issuer)
	}
	if err != nil {
		return nil, nil, errors.Join(&RefusedError{name, err}, im.close())
	}
	return im, &token.Claims, nil
}

// warn says what a development host lets pass.
func warn(name string, claims *wascap.Claims, opts *Options) {
	switch {
	case claims == nil:
		opts.Log.Warn("this plugin is not signed; outside development it is refused", "plugin", name)
	case !slices.Contains(opts.Trust, claims.Issuer):
		opts.Log.Warn("this plugin is signed by an account that this host was not told to trust; outside development it is refused", "plugin", name, "issuer", claims.Issuer)
	}
}
