package devhost

import (
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
)

func TestADenialThatAGuestPassesOnIsSaidOnce(t *testing.T) {
	denial := &capability.Error{Code: capability.CodeDenied, Message: "hello has no claim"}
	for said, want := range map[string]string{
		denial.Error():                       "denied: hello has no claim",
		"reading count: " + denial.Error():   "denied: reading count: denied: hello has no claim",
		"the guest's own words for all that": "denied: the guest's own words for all that",
	} {
		e := explain(&wapc.GuestError{Message: said, HostErr: denial})
		if e.Error() != want {
			t.Errorf("%q becomes %q, want %q", said, e, want)
		}
	}
}
