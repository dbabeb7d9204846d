package wapc

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
)

func someEntry() (entryHeader, *prepared) {
	p := &prepared{
		facts:    facts{Imports: []string{"wapc.__guest_request", "wapc.__host_call"}, Form: formBinding, MemoryMin: 3 << 16},
		skeleton: []byte("skeleton"),
		spans:    []span{{at: 1 << 40, data: []byte("one")}, {at: 2, data: nil}, {at: 3, data: []byte("three")}},
	}
	return entryHeader{facts: p.facts, Key: moduleKey{1, 31: 2}, MachineCode: "wazero/file", Size: 1 << 33, Sum: 1<<32 - 1}, p
}

func TestEntry(t *testing.T) {
	h, p := someEntry()
	gotHeader, got, err := decodeEntry(encodeEntry(entryHeader{Key: h.Key, MachineCode: h.MachineCode, Size: h.Size, Sum: h.Sum}, p))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotHeader, h) || !reflect.DeepEqual(got.facts, p.facts) || string(got.skeleton) != string(p.skeleton) || len(got.spans) != len(p.spans) {
		t.Errorf("got %+v %+v, want %+v %+v", gotHeader, got, h, p)
	}
	for i, s := range got.spans {
		if s.at != p.spans[i].at || string(s.data) != string(p.spans[i].data) {
			t.Errorf("span %d is %v, want %v", i, s, p.spans[i])
		}
	}
}

func TestDamagedEntry(t *testing.T) {
	h, p := someEntry()
	whole := encodeEntry(h, p)
	const head = len(entryMagic) + 4
	resum := func(b []byte) []byte { // a checksum that is right, so that the rest is read
		sum := castagnoli()
		sum.Write(b[head:])
		binary.LittleEndian.PutUint32(b[len(entryMagic):], sum.Sum32())
		return b
	}
	for n := range whole {
		if _, _, err := decodeEntry(whole[:n]); !errors.Is(err, errDamaged) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
		if n >= head {
			if _, _, err := decodeEntry(resum(append([]byte(nil), whole[:n]...))); !errors.Is(err, errDamaged) {
				t.Errorf("the first %d bytes with their checksum: %v", n, err)
			}
		}
		changed := append([]byte(nil), whole...)
		changed[n] ^= 0xff
		if _, _, err := decodeEntry(changed); !errors.Is(err, errDamaged) {
			t.Errorf("with byte %d changed: %v", n, err)
		}
	}
	if _, _, err := decodeEntry(resum(append(whole, 0))); !errors.Is(err, errDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	h, p := someEntry()
	f.Add(encodeEntry(h, p)[len(entryMagic)+4:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		b := append([]byte(entryMagic), 0, 0, 0, 0)
		sum := castagnoli()
		sum.Write(rest)
		binary.LittleEndian.PutUint32(b[len(entryMagic):], sum.Sum32())
		h, p, err := decodeEntry(append(b, rest...))
		if err != nil {
			return
		}
		if _, again, err := decodeEntry(encodeEntry(h, p)); err != nil || !reflect.DeepEqual(again.facts, p.facts) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
