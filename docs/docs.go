// Package docs has the documents that the program itself refers to.
package docs

import _ "embed"

//go:generate go run ../testscripts/coverage/generate

// Protocol is protocol.md: the protocol of guests, hosts and providers, rule by
// rule. Package rules reads it.
//
//go:embed protocol.md
var Protocol string
