package manifest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The ranges of the limits.
const (
	pageSize    = 64 << 10
	maxMemory   = 4 << 30
	maxBody     = 1 << 30
	minTimeout  = time.Millisecond
	maxTimeout  = time.Hour
	maxTotal    = 1 << 40
	maxQueue    = 1_000_000
	maxInstance = 65_000
	maxPort     = math.MaxUint16
	maxNameSize = 63 // of a DNS label: a name becomes a host's name sooner or later
)

// deviceNames cannot be folders on Windows, nor elements of a Go module path.
var deviceNames = []string{
	"con", "prn", "aux", "nul",
	"com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// CheckName says what is wrong with a project's name: it must do as a folder, as
// a module path, as a host's name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxNameSize:
		return fmt.Errorf("the name has %d characters, %d are allowed", len(name), maxNameSize)
	case slices.Contains(deviceNames, name):
		return fmt.Errorf("the name %q is a device's on Windows: take another", name)
	}
	ok := name[0] >= 'a' && name[0] <= 'z' && name[len(name)-1] != '-'
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("the name %q must be of lower-case letters, digits and hyphens, start with a letter and end with none of the hyphens", name)
	}
	return nil
}

// checkVersion wants "1.2.3" and its relatives; the claims carry it as text.
func checkVersion(version string) error {
	digits := strings.TrimPrefix(version, "v")
	ok := len(version) <= 64 && digits != "" && digits[0] >= '0' && digits[0] <= '9'
	for _, c := range digits {
		ok = ok && (isAlphanumeric(c) || strings.ContainsRune(".+-", c))
	}
	if !ok {
		return fmt.Errorf("the version %q is not of the form \"1.2.3\" or \"1.2.3-rc.1\"", version)
	}
	return nil
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isWord(s string) bool {
	for _, c := range s {
		if !isAlphanumeric(c) && !strings.ContainsRune("_-.", c) {
			return false
		}
	}
	return s != ""
}

// units are the units of sizes, the longest names first. Decimal units are left
// out on purpose: "MB" means one thing to one reader and another to the next.
var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// ParseSize reads a size such as "256MiB", or a number of bytes.
func ParseSize(s string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil {
			break
		}
		if n < 0 || n > math.MaxInt64/u.size {
			return 0, fmt.Errorf("%q is out of range", s)
		}
		return n * u.size, nil
	}
	return 0, fmt.Errorf("%q is not a size: write a number and KiB, MiB or GiB, such as \"32MiB\"", s)
}

func parseMemory(s string) (int64, error) {
	n, err := ParseSize(s)
	switch {
	case err != nil:
		return 0, err
	case n < pageSize || n > maxMemory:
		return 0, fmt.Errorf("%q is out of range: 64KiB to 4GiB are possible", s)
	case n%pageSize != 0:
		return 0, fmt.Errorf("%q is not a multiple of 64KiB, the size of a page of WebAssembly memory", s)
	}
	return n, nil
}

func parseTotal(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && (n < pageSize || n > maxTotal) {
		err = fmt.Errorf("%q is out of range: 64KiB to 1024GiB are possible", s)
	}
	return n, err
}

func parseBody(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && (n < 1 || n > maxBody) {
		err = fmt.Errorf("%q is out of range: 1B to 1GiB are possible", s)
	}
	return n, err
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time: write a number and ms, s or m, such as \"30s\"", s)
	}
	if d < minTimeout || d > maxTimeout {
		return 0, fmt.Errorf("%q is out of range: 1ms to 1h are possible", s)
	}
	return d, nil
}

// parseInt returns a parser for whole numbers from least to most.
func parseInt(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is not a whole number", s)
		}
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%s is out of range: %d to %d are possible", s, least, most)
		}
		return n, nil
	}
}
