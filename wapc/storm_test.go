package wapc_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// TestHostFunctionsLook: what a guest has the host functions do is looked at,
// too. The first look starts a clock of a nanosecond, the second ends the call.
func TestHostFunctionsLook(t *testing.T) {
	large := strings.Repeat("\xff", 20<<10)
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) {
		return make([]byte, 20<<10), nil
	}}
	twice := func(code uint32, args ...uint32) *script {
		return (&script{}).do(code, args...).do(code, args...)
	}
	answered := called("", "n", "Get", "").do(hostResponse, answerAt)
	for name, test := range map[string]struct {
		script *script
		host   wapc.Host
	}{
		"log":      {twice(consoleLog, 0, 1), nil},
		"error":    {twice(guestError, 0, 1), nil},
		"request":  {twice(request, scratch, answerAt), nil},
		"response": {answered, h},
	} {
		t.Run(name, func(t *testing.T) {
			test.script.do(end, 1).text(large)
			_, err := run(t, &wapc.PoolOptions{Host: test.host, CallTimeout: time.Nanosecond, QueueTimeout: time.Minute}, test.script)
			as[*wapc.DeadlineError](t, err)
		})
	}
}
