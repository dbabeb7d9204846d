//go:build race

package metertest

// race tells that the race detector watches, which makes the engines many times
// slower.
const race = true
