package wat

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// digits takes the underscores out of a number. Each must stand between two
// digits.
func digits(n *node) string {
	s := n.text
	if !strings.Contains(s, "_") {
		return s
	}
	for i, c := range s {
		if c == '_' && (i == 0 || i == len(s)-1 || !isDigit(s[i-1]) || !isDigit(s[i+1])) {
			n.fail("a _ in a number stands between two digits")
		}
	}
	return strings.ReplaceAll(s, "_", "")
}

func isDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// base tells what number system digits without a sign are in, and takes the
// mark of it away.
func base(s string) (rest string, base int) {
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		return hex, 16
	}
	return s, 10
}

// unsigned reads a number without a sign of so many bits.
func unsigned(n *node, bits int) uint64 {
	if n.kind != atom {
		n.fail("a number is wanted here")
	}
	s, b := base(digits(n))
	v, err := strconv.ParseUint(s, b, 64)
	switch {
	case s == "" || !isDigit(s[0]) || err != nil && !errors.Is(err, strconv.ErrRange):
		n.fail("%q is no number", n.text)
	case err != nil || bits < 64 && v>>bits != 0:
		n.check(errRange)
	}
	return v
}

// integer reads a number of so many bits, with a sign or without one, as its
// signed value.
func integer(n *node, bits int) int64 {
	bare, negative := *n, strings.HasPrefix(n.text, "-")
	if n.kind == atom && (negative || strings.HasPrefix(n.text, "+")) {
		bare.text = n.text[1:]
	}
	v := unsigned(&bare, bits)
	if negative {
		if v > 1<<(bits-1) {
			n.check(errRange)
		}
		return -int64(v)
	}
	if bits == 32 {
		return int64(int32(v))
	}
	return int64(v)
}

// float reads a floating-point number and returns its bits.
func float(n *node, bits int) uint64 {
	if n.kind != atom {
		n.fail("a number is wanted here")
	}
	sign, fraction := uint64(1)<<(bits-1), uint64(1)<<52-1
	if bits == 32 {
		fraction = 1<<23 - 1
	}
	infinity := sign - 1 - fraction
	s := digits(n)
	minus := uint64(0)
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			minus = sign
		}
		s = s[1:]
	}
	switch payload, ok := strings.CutPrefix(s, "nan:0x"); {
	case ok:
		v, err := strconv.ParseUint(payload, 16, 64)
		if err != nil || v == 0 || v > fraction {
			n.fail("the bits of a NaN are a hexadecimal number from 1 to %#x", fraction)
		}
		return minus | infinity | v
	case s == "nan":
		return minus | infinity | (fraction+1)/2
	case s == "inf":
		return minus | infinity
	case s == "" || !(s[0] >= '0' && s[0] <= '9'):
		n.fail("%q is no number", n.text)
	case strings.HasPrefix(s, "0x") && !strings.ContainsAny(s, "pP"):
		s += "p0"
	}
	v, err := strconv.ParseFloat(s, bits)
	if err != nil {
		if math.IsInf(v, 0) {
			n.check(errRange)
		}
		n.fail("%q is no number", n.text)
	}
	if bits == 32 {
		return minus | uint64(math.Float32bits(float32(v)))
	}
	return minus | math.Float64bits(v)
}
