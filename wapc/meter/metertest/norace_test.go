//go:build !race

package metertest

const race = false
