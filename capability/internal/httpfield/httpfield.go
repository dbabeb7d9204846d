// Package httpfield has what the providers of HTTP, server and client, know
// alike about header fields.
package httpfield

import (
	"strings"
	"unicode/utf8"
)

// Connection has the fields, by canonical name, that concern one connection and
// are never passed on.
var Connection = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// Token has the characters of a token (RFC 9110, 5.6.2), of which names and
// methods are made.
var Token = func() (table [256]bool) {
	for c := range 128 {
		r := byte(c)
		table[c] = 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", r) >= 0
	}
	return table
}()

// Lists tells whether the values of a Connection field name another field.
func Lists(connection []string, name string) bool {
	for _, value := range connection {
		for option := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}

// ToUTF8 reads s as Latin-1 where it is not UTF-8: a payload's strings must be.
func ToUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
