package manifest

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

const faultHead = "name = \"a\"\nlanguage = \"go\"\ncapabilities = [\"wascap:keyvalue\", \"gpio:relay\"]\n"

func TestFaults(t *testing.T) {
	m, err := Parse([]byte(faultHead+`
[dev]
port = 1

[[bind]]
capability = "wascap:keyvalue"
name = "cache"

[[dev.fault]]
capability = "wascap:keyvalue"
binding = "cache"
latency = "200ms"
jitter = "50ms"
error = "unavailable"
rate = 0.1
times = 3
for = "1m"

[[dev.fault]]
capability = "wascap:keyvalue"
deny = true
rate = 1

[[dev.fault]]
capability = "gpio:relay"
cut = true
`), "waxo.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{
		{Capability: "wascap:keyvalue", Binding: "cache", Latency: 200 * time.Millisecond, Jitter: 50 * time.Millisecond, Error: "unavailable", Rate: 0.1, Times: 3, For: time.Minute},
		{Capability: "wascap:keyvalue", Deny: true, Rate: 1},
		{Capability: "gpio:relay", Cut: true},
	}
	if !reflect.DeepEqual(m.Dev.Faults, want) || m.Dev.Port != 1 {
		t.Errorf("got %+v, want %+v", m.Dev, want)
	}
}

func TestBadFaults(t *testing.T) {
	const fault = faultHead + "[[dev.fault]]\ncapability = \"wascap:keyvalue\"\n"
	for _, test := range []struct{ text, want string }{
		{faultHead + "[dev.fault]\ncut = true", "4:2: dev.fault must be an array of tables, not a table: write [[dev.fault]] above each"},
		{faultHead + "[[dev.fault]]\ncut = true", `4:3: [[dev.fault]] needs capability = "..."`},
		{faultHead + "[[dev.fault]]\ncapability = \"wascap:keyvalu\"\ncut = true", `4:3: unknown capability "wascap:keyvalu": did you mean "wascap:keyvalue"?`},
		{fault, "4:3: nothing goes wrong: give latency, jitter, error, deny or cut"},
		{fault + "latenzy = \"1s\"", `6:1: unknown key "latenzy" in [dev.fault[0]]: did you mean "latency"?`},
		{fault + "latency = 200", `6:1: dev.fault[0].latency: "200" is not a time`},
		{fault + "latency = \"-1s\"", `6:1: dev.fault[0].latency: "-1s" is out of range`},
		{fault + "latency = \"25h\"", `6:1: dev.fault[0].latency: "25h" is out of range`},
		{fault + "error = \"unavailible\"", `4:3: unknown error "unavailible": did you mean "unavailable"?`},
		{fault + "error = \"trap\"", `4:3: unknown error "trap"`},
		{fault + "deny = 1", "6:1: dev.fault[0].deny must be true or false, not an integer"},
		{fault + "deny = true\ncut = true", "4:3: error, deny and cut exclude each other"},
		{fault + "cut = true\nrate = 0.5", "4:3: rate is for error and deny"},
		{fault + "deny = true\nrate = 1.5", "7:1: dev.fault[0].rate: 1.5 is out of range"},
		{fault + "deny = true\nrate = 0", "7:1: dev.fault[0].rate: 0 is out of range"},
		{fault + "deny = true\nrate = \"all\"", "7:1: dev.fault[0].rate must be a number, not a string"},
		{fault + "deny = true\ntimes = -1", "7:1: dev.fault[0].times: -1 is out of range"},
		{fault + "cut = true\ntimes = 2", "4:3: times counts calls"},
		{fault + "deny = true\nbinding = \"a b\"", `4:3: the binding's name "a b"`},
		{faultHead + "[[dev.fault]]\ncapability = \"wascap:logging\"\ndeny = true", `5:1: "wascap:logging" is not claimed`},
		{fault + "binding = \"cache\"\ndeny = true", `6:1: wascap:keyvalue has no binding "cache"; known are default`},
		{fault + "binding = \"default\"\ndeny = true\n[[bind]]\ncapability = \"wascap:keyvalue\"\nname = \"defaults\"", `6:1: wascap:keyvalue has no binding "default": did you mean "defaults"?`},
		{fault + "cut = true\n[[dev.fault]]\ncapability = \"wascap:keyvalue\"\ndeny = true", `7:3: there are two faults for "wascap:keyvalue"`},
	} {
		_, err := Parse([]byte(test.text), "waxo.toml")
		if err == nil || !strings.HasPrefix(err.Error(), "waxo.toml:"+test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\n%v\nwant %s", test.text, err, test.want)
		}
	}
	for _, f := range []Fault{{}, {Capability: "wascap:keyvalue", Deny: true, Rate: math.NaN()}, {Capability: "wascap:keyvalue", Latency: -1}, {Capability: "wascap:keyvalue", Cut: true, Times: -1}} {
		if f.Check() == nil {
			t.Error(fmt.Sprintf("%+v", f), "passes")
		}
	}
}

func TestFaultInWords(t *testing.T) {
	for want, f := range map[string]Fault{
		"200ms later":      {Latency: 200 * time.Millisecond},
		"0s to 50ms later": {Jitter: 50 * time.Millisecond},
		"1s to 3s later, error deadline (12.5% of the calls), 3 times": {Latency: time.Second, Jitter: 2 * time.Second, Error: "deadline", Rate: 0.125, Times: 3},
		"denied":            {Deny: true, Rate: 1},
		"cut off, for 1m0s": {Cut: true, For: time.Minute},
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
