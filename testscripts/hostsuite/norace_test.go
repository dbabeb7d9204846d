//go:build !race

package hostsuite_test

const raceEnabled = false
