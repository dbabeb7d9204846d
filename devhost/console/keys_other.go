//go:build !linux && !darwin

package console

import "os"

// Keys is not served on this system: there are no keys.
func Keys(*os.File) (keys <-chan byte, restore func(), ok bool) { return nil, func() {}, false }
