package extras_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/extras"
	pb "github.com/waxosuit/waxo/capability/payload/extraspb"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

func bind(t testing.TB, p *extras.Provider, id capability.BindingID) {
	t.Helper()
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id}, nil); err != nil {
		t.Fatal(err)
	}
}

func call(t testing.TB, p *extras.Provider, id capability.BindingID, operation string, req pb.GeneratorRequest) (resp pb.GeneratorResult, err error) {
	t.Helper()
	answer, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: req.AppendProto(nil), Into: []byte("x")})
	if err == nil {
		err = resp.UnmarshalProto(answer)
	}
	return resp, err
}

func TestGuid(t *testing.T) {
	p := extras.New(nil)
	bind(t, p, id)
	seen := make(map[string]bool)
	for range 1000 {
		r, err := call(t, p, id, capability.OpRequestGuid, pb.GeneratorRequest{Gentype: pb.GeneratorTypeGuid})
		if err != nil || r.Value != pb.GeneratorResultValueGuid {
			t.Fatal(r, err)
		}
		u, err := uuid.Parse(r.Guid)
		if err != nil || u.Version() != 4 || u.Variant() != uuid.RFC4122 || u.String() != r.Guid || seen[r.Guid] {
			t.Fatalf("%q: %v", r.Guid, err)
		}
		seen[r.Guid] = true
	}
}

// TestSequence: each binding counts from 0 without a gap, also when many call
// at once.
func TestSequence(t *testing.T) {
	p := extras.New(nil)
	other := capability.BindingID{Guest: "MOTHER", Name: capability.DefaultBinding}
	bind(t, p, id)
	bind(t, p, other)
	const callers, rounds = 8, 100
	numbers := make([]uint64, callers*rounds)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range rounds {
				r, err := call(t, p, id, capability.OpRequestSequence, pb.GeneratorRequest{})
				if err != nil || r.Value != pb.GeneratorResultValueSequenceNo {
					t.Error(r, err)
				}
				numbers[i*rounds+j] = r.SequenceNo
			}
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != uint64(i) {
			t.Fatalf("number %d is %d", i, n)
		}
	}
	if r, err := call(t, p, other, capability.OpRequestSequence, pb.GeneratorRequest{}); err != nil || r.SequenceNo != 0 {
		t.Errorf("another guest starts at %d (%v)", r.SequenceNo, err)
	}
}

// TestRandom: min is possible, max is not, and each number is as likely as the
// others: 60,000 draws of a die, each face within six standard deviations.
func TestRandom(t *testing.T) {
	p := extras.New(nil)
	bind(t, p, id)
	draw := func(low, high uint32) uint32 {
		t.Helper()
		r, err := call(t, p, id, capability.OpRequestRandom, pb.GeneratorRequest{Gentype: pb.GeneratorTypeRandom, Min: low, Max: high})
		if err != nil || r.Value != pb.GeneratorResultValueRandomNo {
			t.Fatal(r, err)
		}
		return r.RandomNo
	}
	var faces [8]int
	const draws = 60_000
	for range draws {
		faces[draw(1, 7)]++
	}
	for n, count := range faces {
		if inside := n >= 1 && n <= 6; inside && (count < draws/6-550 || count > draws/6+550) || !inside && count > 0 {
			t.Errorf("%d came %d times", n, count)
		}
	}
	for _, low := range []uint32{0, 5, math.MaxUint32 - 1} {
		if got := draw(low, low+1); got != low {
			t.Errorf("the only number from %d is %d", low, got)
		}
	}
	upper := 0
	for range 1000 {
		if draw(0, math.MaxUint32) >= math.MaxUint32/2 {
			upper++
		}
	}
	if upper < 350 || upper > 650 {
		t.Errorf("%d of 1000 numbers are in the upper half", upper)
	}
}

func TestRefuses(t *testing.T) {
	p := extras.New(nil)
	_, err := call(t, p, id, capability.OpRequestGuid, pb.GeneratorRequest{})
	if !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("before Bind: %v", err)
	}
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"seed": "1"}}, nil); !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) {
		t.Errorf("Bind with a configuration: %v", err)
	}
	bind(t, p, id)
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id}, nil); !errors.Is(err, &capability.Error{Code: capability.CodeConflict}) {
		t.Errorf("a second Bind: %v", err)
	}
	for _, c := range []struct {
		operation string
		req       pb.GeneratorRequest
		code      capability.Code
		want      string
	}{
		{"RequestDice", pb.GeneratorRequest{}, capability.CodeUnsupported, `"RequestDice"`},
		{capability.OpRequestGuid, pb.GeneratorRequest{Gentype: pb.GeneratorTypeRandom}, capability.CodeInvalid, "generator type 3: it is 1, or 0"},
		{capability.OpRequestSequence, pb.GeneratorRequest{Gentype: 9}, capability.CodeInvalid, "generator type 9: it is 2, or 0"},
		{capability.OpRequestRandom, pb.GeneratorRequest{}, capability.CodeInvalid, "from 0 up to, and not including, 0"},
		{capability.OpRequestRandom, pb.GeneratorRequest{Min: 5, Max: 5}, capability.CodeInvalid, "from 5 up to, and not including, 5"},
		{capability.OpRequestRandom, pb.GeneratorRequest{Min: 6, Max: 5}, capability.CodeInvalid, "from 6 up to, and not including, 5"},
	} {
		if _, err := call(t, p, id, c.operation, c.req); !errors.Is(err, &capability.Error{Code: c.code}) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want %s with %q", c.operation, c.req, err, c.code, c.want)
		}
	}
	if _, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpRequestGuid, Payload: []byte{0}}); !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) {
		t.Errorf("a payload that cannot be decoded: %v", err)
	}
	for range 2 {
		if err := errors.Join(p.Unbind(t.Context(), id), p.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// TestOwnRandomness: the same source gives the same answers, and one that ends
// is an error. 0 is the one number of four bytes that would favour some of
// three: it is drawn again.
func TestOwnRandomness(t *testing.T) {
	p := extras.New(&extras.Options{Random: strings.NewReader(strings.Repeat("\x00", 16) + "\x00\x00\x00\x00\xff\xff\xff\xff")})
	bind(t, p, id)
	if r, err := call(t, p, id, capability.OpRequestGuid, pb.GeneratorRequest{}); err != nil || r.Guid != "00000000-0000-4000-8000-000000000000" {
		t.Errorf("%q, %v", r.Guid, err)
	}
	if r, err := call(t, p, id, capability.OpRequestRandom, pb.GeneratorRequest{Max: 3}); err != nil || r.RandomNo != 2 {
		t.Errorf("%d, %v", r.RandomNo, err)
	}
	for _, operation := range []string{capability.OpRequestGuid, capability.OpRequestRandom} {
		if _, err := call(t, p, id, operation, pb.GeneratorRequest{Max: 3}); !errors.Is(err, &capability.Error{Code: capability.CodeInternal}) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

func Example() {
	p := extras.New(nil)
	ctx := context.Background()
	defer p.Close(ctx)
	if err := p.Bind(ctx, capability.Binding{BindingID: id}, nil); err != nil {
		panic(err)
	}
	for range 3 {
		answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpRequestSequence})
		if err != nil {
			panic(err)
		}
		var r pb.GeneratorResult
		if err := r.UnmarshalProto(answer); err != nil {
			panic(err)
		}
		fmt.Println(r.SequenceNo)
	}
	// Output:
	// 0
	// 1
	// 2
}
