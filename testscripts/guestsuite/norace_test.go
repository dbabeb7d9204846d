//go:build !race

package guestsuite_test

const raceEnabled = false
