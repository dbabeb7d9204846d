//go:build !race

package wascap_test

const raceEnabled = false
