// Package docs has the documents that the program itself refers to.
package docs

import _ "embed"

// Protocol is protocol.md: the protocol of guests, hosts and providers, rule by
// rule. Package rules reads it.
//
//go:embed protocol.md
var Protocol string
