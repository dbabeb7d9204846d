package cli

import (
	"runtime"
	"testing"
)

func TestBallast(t *testing.T) {
	alive := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, test := range []struct {
		set  map[string]string
		held bool
	}{
		{nil, true},
		{map[string]string{"GOGC": ""}, true},
		{map[string]string{"GOGC": "50"}, false},
		{map[string]string{"GOMEMLIMIT": "100MiB"}, false},
	} {
		a := &App{Lookup: func(name string) (string, bool) {
			v, ok := test.set[name]
			return v, ok
		}}
		before := alive()
		drop := a.ballast()
		held := alive() > before+ballastSize/2
		drop()
		if held != test.held {
			t.Errorf("%v: held %t, want %t", test.set, held, test.held)
		}
		if alive() > before+ballastSize/2 {
			t.Errorf("%v: it is held for ever", test.set)
		}
	}
}
