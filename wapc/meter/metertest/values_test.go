package metertest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// value is an argument or a result as the scripts of the specification's test
// suite write it: numbers as decimals of their bits, vectors as lists of lanes.
type value struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"` // text or texts; without it, any reference will do
}

// lane is a number, or a class of numbers that are not.
type lane struct {
	bits  uint64
	class string // nan:canonical, nan:arithmetic or empty
	width int
}

// lanes gives a value's numbers and their width.
func (v value) lanes() ([]lane, error) {
	switch {
	case v.Value == nil:
		return nil, fmt.Errorf("%s without a value", v.Type)
	case v.Type != "v128":
		var text string
		if err := json.Unmarshal(v.Value, &text); err != nil {
			return nil, err
		}
		if text == "null" {
			return []lane{{width: 64}}, nil
		}
		l, err := parseLane(v.Type, text)
		if v.Type == "externref" {
			l.bits++ // the engine takes 0 for null
		}
		return []lane{l}, err
	}
	var texts []string
	if err := json.Unmarshal(v.Value, &texts); err != nil {
		return nil, err
	}
	lanes := make([]lane, len(texts))
	bits := 0
	for i, text := range texts {
		var err error
		if lanes[i], err = parseLane(v.LaneType, text); err != nil {
			return nil, err
		}
		bits += lanes[i].width
	}
	if bits != 128 {
		return nil, fmt.Errorf("a vector of %d bits", bits)
	}
	return lanes, nil
}

var widths = map[string]int{"i8": 8, "i16": 16, "i32": 32, "f32": 32, "i64": 64, "f64": 64, "externref": 64, "funcref": 64}

func parseLane(kind, text string) (lane, error) {
	l := lane{width: widths[kind]}
	if l.width == 0 {
		return l, fmt.Errorf("a value of the type %q", kind)
	}
	if strings.HasPrefix(text, "nan:") {
		l.class = text
		return l, nil
	}
	var err error
	l.bits, err = strconv.ParseUint(text, 10, l.width)
	return l, err
}

// stack gives a value as the engine takes it: in one word, a vector in two.
func (v value) stack() ([]uint64, error) {
	lanes, err := v.lanes()
	if err != nil {
		return nil, err
	}
	var words [2]uint64
	at := 0
	for _, l := range lanes {
		if l.class != "" {
			return nil, fmt.Errorf("%s as an argument", l.class)
		}
		words[at/64] |= l.bits << (at % 64)
		at += l.width
	}
	return words[:(at+63)/64], nil
}

// matches takes the words of one value from results, and tells whether they
// are what v says.
func (v value) matches(results []uint64) (rest []uint64, ok bool, err error) {
	n := 1
	if v.Type == "v128" {
		n = 2
	}
	if len(results) < n {
		return nil, false, fmt.Errorf("there are too few results")
	}
	words, rest := results[:n], results[n:]
	if v.Value == nil { // any reference
		return rest, words[0] != 0, nil
	}
	lanes, err := v.lanes()
	if err != nil {
		return rest, false, err
	}
	ok = true
	at := 0
	for _, l := range lanes {
		got := words[at/64] >> (at % 64)
		if l.width < 64 {
			got &= 1<<l.width - 1
		}
		ok = ok && l.matches(got)
		at += l.width
	}
	return rest, ok, nil
}

// matches tells whether bits are those of the lane, or of its class: the
// payload of a canonical NaN has its first bit set alone, that of an
// arithmetic one has it set.
func (l lane) matches(bits uint64) bool {
	if l.class == "" {
		return bits == l.bits
	}
	quiet, sign := uint64(0x7ff8<<48), uint64(1)<<63
	if l.width == 32 {
		quiet, sign = 0x7fc0<<16, 1<<31
	}
	if l.class == "nan:canonical" {
		return bits&^sign == quiet
	}
	return bits&quiet == quiet && l.class == "nan:arithmetic"
}

// describe is what a failed test prints.
func (v value) describe() string {
	text := fmt.Sprintf("%s %s", v.Type, v.Value)
	if lanes, err := v.lanes(); err == nil && len(lanes) == 1 && lanes[0].class == "" {
		switch v.Type {
		case "f32":
			text += fmt.Sprintf(" (%v)", math.Float32frombits(uint32(lanes[0].bits)))
		case "f64":
			text += fmt.Sprintf(" (%v)", math.Float64frombits(lanes[0].bits))
		}
	}
	return text
}
