package kv_test

import (
	"strings"
	"testing"

	"github.com/waxosuit/waxo/guest/go/clock"
	"github.com/waxosuit/waxo/guest/go/extras"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/keyvaluepb"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/log"
)

// answers is a host that gives the same answer to everything, at no cost.
type answers []byte

func (a answers) Call(_, _, _ string, _ []byte) ([]byte, error) { return a, nil }
func (answers) Console(string)                                  {}

// TestAllocations counts what host calls allocate: the strings that they return.
func TestAllocations(t *testing.T) {
	var err error
	for _, test := range []struct {
		name   string
		answer string
		call   func()
		most   float64
	}{
		{"kv.Get of the same value", "\x0a\x05value\x10\x01", func() { _, _, err = kv.Get("a key") }, 0},
		{"kv.Get", "\x0a\x06välue\x10\x01", func() { _, _, err = kv.Get("a key") }, 1},
		{"kv.Get of nothing", "", func() { _, _, err = kv.Get("a key") }, 0},
		{"kv.Set", "\x0a\x05value", func() { err = kv.Set("a key", "value") }, 0},
		{"kv.Add", "\x08\x2a", func() { _, err = kv.Add("a key", 1) }, 0},
		{"kv.Exists", "\x10\x01", func() { _, err = kv.Exists("a key") }, 0},
		{"kv.Delete", "\x0a\x05a key", func() { err = kv.Delete("a key") }, 0},
		{"kv.ListPush", "\x08\x01", func() { _, err = kv.ListPush("a key", "item") }, 0},
		{"kv.SetMembers", "\x0a\x01x", func() { _, err = kv.SetMembers("a key") }, 1}, // the list; a string of one byte is none
		{"clock.Now", "\x08\x2a", func() { _, err = clock.Now() }, 0},
		{"extras.Sequence", "\x10\x2a", func() { _, err = extras.Sequence() }, 0},
		{"log.Info", "", func() { log.Info("a text") }, 0},
	} {
		var host abi.Host = answers(test.answer)
		if !abi.Install(host) {
			t.Fatal("there is a host")
		}
		got := testing.AllocsPerRun(1000, test.call)
		abi.Uninstall()
		if got > test.most || err != nil {
			t.Errorf("%s: %v allocations, want %v; %v", test.name, got, test.most, err)
		}
	}
}

// FuzzGet holds what Get reads to what the generated codec does.
func FuzzGet(f *testing.F) {
	for _, answer := range []string{
		"", "\x0a\x05value\x10\x01", "\x0a\x05value\x10\x00", "\x0a\x05value", "\x0a\x00\x10\x01", "\x10\x01", "\x10\x01\x0a\x05value",
		"\x0a\x05value\x10\x02", "\x0a\x06value\x10\x01", "\x0a\x04value\x10\x01", "\x0a\x05v\xc3\xa4lu\x10\x01", "\x0a\x05v\xc3lue\x10\x01",
		"\x0a\x85\x00value\x10\x01", "\x0a\x05value\x10\x01\x10\x00", "\x0a\x80\x01" + strings.Repeat("x", 128) + "\x10\x01",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if !abi.Install(answers(answer)) {
			t.Fatal("there is a host")
		}
		defer abi.Uninstall()
		var want pb.GetResponse
		wantErr := want.UnmarshalProto(answer)
		if wantErr != nil {
			want = pb.GetResponse{}
		}
		for range 2 { // the second time the value is known
			value, exists, err := kv.Get("a key")
			if value != want.Value || exists != want.Exists || (err != nil) != (wantErr != nil) {
				t.Fatalf("Get = %q, %t, %v; want %q, %t, %v", value, exists, err, want.Value, want.Exists, wantErr)
			}
		}
	})
}

// TestMalformedAnswers has every kind of operation read what is no message.
func TestMalformedAnswers(t *testing.T) {
	if !abi.Install(answers("\x0a\x05abc")) {
		t.Fatal("there is a host")
	}
	defer abi.Uninstall()
	_, _, getErr := kv.Get("a")
	_, addErr := kv.Add("a", 1)
	_, membersErr := kv.SetMembers("a")
	for operation, err := range map[string]error{"Get": getErr, "Add": addErr, "SetQuery": membersErr, "Set": kv.Set("a", "b")} {
		want := "internal: kv: the answer to wascap:keyvalue!" + operation + ": protobuf: the message ends in the middle of a field"
		if err == nil || err.Error() != want {
			t.Errorf("%s = %v, want %s", operation, err, want)
		}
	}
}
