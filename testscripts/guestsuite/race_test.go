//go:build race

package guestsuite_test

// raceEnabled tells that the race detector runs, which makes guests and all that is
// done with their bytes many times slower.
const raceEnabled = true
