package events_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// handle is what the guest does with an event in a test.
var handle func(*events.Event) error

func init() { events.Handle(func(e *events.Event) error { return handle(e) }) }

func newHost(t *testing.T) *waxotest.Host {
	h := waxotest.New(t)
	h.Grant(events.Capability)
	return h
}

func TestWriteAndQuery(t *testing.T) {
	newHost(t)
	values := map[string]string{"a": "1", "世界": "🙂", "": ""}
	var want []events.Event
	for i := range 3 {
		id, err := events.Write("s", values)
		if err != nil || id != fmt.Sprint(2*i+1) {
			t.Fatalf("%q, %v", id, err)
		}
		want = append(want, events.Event{ID: id, Stream: "s", Values: values})
		if _, err := events.Write("other", nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := events.Query("s", events.Window{})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := events.Open("elsewhere").Query("s", events.Window{}); err != nil || len(got) != 0 {
		t.Errorf("in another binding: %v, %v", got, err)
	}
	for _, stream := range []string{"", strings.Repeat("x", 257), "\xff"} {
		_, err := events.Write(stream, nil)
		_, err2 := events.Query(stream, events.Window{})
		if !errors.Is(err, waxo.ErrInvalid) || !errors.Is(err2, waxo.ErrInvalid) {
			t.Errorf("the stream %.20q: %v, %v", stream, err, err2)
		}
	}
}

func TestWindow(t *testing.T) {
	h := newHost(t)
	at := func(ms int64) { h.SetTime(time.UnixMilli(ms)) }
	for i := range 5 {
		at(int64(1000 + 10*i))
		if _, err := events.Write("s", map[string]string{"i": fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		w    events.Window
		want string
	}{
		{events.Window{}, "01234"},
		{events.Window{Count: 2}, "01"},
		{events.Window{From: 1010}, "1234"},
		{events.Window{From: 1011}, "234"},
		{events.Window{To: 1010}, "01"},
		{events.Window{To: 1009}, "0"},
		{events.Window{From: 1010, To: 1030}, "123"},
		{events.Window{From: 1010, To: 1030, Count: 1}, "1"},
		{events.Window{From: 1020, To: 1020}, "2"},
		{events.Window{From: 1050}, ""},
		{events.Window{From: 1, To: math.MaxUint64, Count: math.MaxUint64}, "01234"},
	} {
		found, err := events.Query("s", test.w)
		var got strings.Builder
		for _, e := range found {
			got.WriteString(e.Values["i"])
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%+v finds %q, %v; want %q", test.w, got.String(), err, test.want)
		}
	}
	if _, err := events.Query("s", events.Window{From: 2, To: 1}); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("a window that ends before it begins: %v", err)
	}
}

func TestLimits(t *testing.T) {
	newHost(t)
	if _, err := events.Write("s", map[string]string{"v": strings.Repeat("x", 1<<20)}); !errors.Is(err, waxo.ErrTooLarge) {
		t.Errorf("an event of more than 1 MiB: %v", err)
	}
	for range 9 {
		if _, err := events.Write("s", map[string]string{"v": strings.Repeat("x", 1<<20-100)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := events.Query("s", events.Window{}); !errors.Is(err, waxo.ErrTooLarge) {
		t.Errorf("9 MiB: %v", err)
	}
	if found, err := events.Query("s", events.Window{Count: 7}); err != nil || len(found) != 7 {
		t.Errorf("7 MiB: %d events, %v", len(found), err)
	}
}

func TestHandle(t *testing.T) {
	h := newHost(t)
	var got events.Event
	handle = func(e *events.Event) error { got = *e; return nil }
	values := map[string]string{"order": "17"}
	if err := h.DeliverEvent("orders", values); err != nil {
		t.Fatal(err)
	}
	if got.ID != "1" || got.Stream != "orders" || !maps.Equal(got.Values, values) {
		t.Errorf("%+v", got)
	}
	if found, err := events.Query("orders", events.Window{}); err != nil || len(found) != 1 || found[0].ID != "1" {
		t.Errorf("what is delivered is written: %v, %v", found, err)
	}
	handle = func(*events.Event) error { return errors.New("not today") }
	if err := h.DeliverEvent("orders", nil); !errors.Is(err, waxo.ErrGuest) {
		t.Errorf("a guest that fails: %v", err)
	}
	if _, err := h.Call("wascap:eventstreams!DeliverEvent", []byte("\x0a\x05")); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("what is no event: %v", err)
	}
}

func TestHandleNothing(t *testing.T) {
	defer func() {
		if text := recover(); text != "events: the handler is nil" {
			t.Errorf("panicked with %v", text)
		}
	}()
	events.Handle(nil)
}

// answers is a host that gives the same answer to everything, at no cost.
type answers []byte

func (a answers) Call(_, _, _ string, _ []byte) ([]byte, error) { return a, nil }
func (answers) Console(string)                                  {}

func TestMalformedAnswers(t *testing.T) {
	if !abi.Install(answers("\x0a\x05abc")) {
		t.Fatal("there is a host")
	}
	defer abi.Uninstall()
	_, writeErr := events.Write("s", nil)
	_, queryErr := events.Query("s", events.Window{})
	for operation, err := range map[string]error{"WriteEvent": writeErr, "QueryStream": queryErr} {
		want := "internal: events: the answer to wascap:eventstreams!" + operation + ": protobuf: the message ends in the middle of a field"
		if err == nil || err.Error() != want {
			t.Errorf("%s = %v, want %s", operation, err, want)
		}
	}
}

func TestAllocations(t *testing.T) {
	if !abi.Install(answers("\x0a\x0212")) {
		t.Fatal("there is a host")
	}
	defer abi.Uninstall()
	values := map[string]string{"name": "value", "other": "value"}
	var err error
	// The id, and the list of the names, in which they are sorted.
	if got := testing.AllocsPerRun(1000, func() { _, err = events.Write("a stream", values) }); got > 2 || err != nil {
		t.Errorf("Write: %v allocations; %v", got, err)
	}
}
