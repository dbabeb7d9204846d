//go:build race

package wascap_test

// raceEnabled tells that the race detector runs, which makes copying a module
// many times slower.
const raceEnabled = true
