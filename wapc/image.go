package wapc

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// wasmPage is the unit of a memory's size, and of what an image is made of: no
// system's own pages are larger.
const wasmPage = 64 << 10

// An image may be sparsePart times as large as the data in it, and sparseFree
// bytes more: what a few bytes of a module can make the host allocate is bounded.
const (
	sparsePart = 4
	sparseFree = 1 << 20
)

// maxSpans bounds the mappings that an instance takes: the system has a limit.
const maxSpans = 8

// span is a stretch of an image, from an offset in the memory. No two of an
// image have a page in common, and they ascend.
type span struct {
	at   uint64
	data []byte
}

// bounds returns the first page of a span's and the end of its last, in bytes.
func (s span) bounds() (begin, end uint64) {
	return s.at &^ (wasmPage - 1), roundUp(s.at + uint64(len(s.data)))
}

func roundUp(n uint64) uint64 { return (n + wasmPage - 1) &^ (wasmPage - 1) }

// takeData takes the active data segments out of a module and returns what they
// lay into its memory. A segment whose number code may name leaves an empty one
// behind: once a module is instantiated, its active segments count as dropped.
//
// Where anything is out of the ordinary, a segment out of bounds above all, the
// module stays as it is, and the engine finds what is wrong with it.
func takeData(m *wasm.Module) ([]span, error) {
	if !hasPlainData(m) {
		return nil, nil
	}
	named, err := namesData(m)
	if err != nil {
		return nil, err
	}
	spans := layOut(m.Data)
	if spans == nil {
		return nil, nil
	}
	if !named {
		m.Data, m.DataCount = nil, nil
		return spans, nil
	}
	for i := range m.Data {
		if m.Data[i].Form != formPassive {
			m.Data[i] = wasm.Data{Form: formPassive}
		}
	}
	return spans, nil
}

// The instructions that name data segments, as wasm.Opcode numbers them.
const (
	opMemoryInit wasm.Opcode = 0xfc<<16 | 8
	opDataDrop   wasm.Opcode = 0xfc<<16 | 9
)

// formPassive is the form of a data segment that only memory.init reads.
const formPassive = 1

// hasPlainData tells whether all active segments lie within the one memory as
// it is at the start.
func hasPlainData(m *wasm.Module) bool {
	if len(m.Memories) != 1 || m.Memories[0].Is64 || m.Memories[0].Shared || m.Memories[0].Min > maxMemory/wasmPage {
		return false
	}
	if m.DataCount != nil && uint64(*m.DataCount) != uint64(len(m.Data)) {
		return false
	}
	size := m.Memories[0].Min * wasmPage
	for _, d := range m.Data {
		if d.Form == formPassive {
			continue
		}
		at, ok := constOffset(d.Offset)
		if !ok || d.Memory != 0 || at+uint64(len(d.Init)) > size {
			return false
		}
	}
	return true
}

// constOffset reads "i32.const n end".
func constOffset(expr []byte) (offset uint64, ok bool) {
	if len(expr) < 3 || expr[0] != byte(wasm.OpI32Const) || expr[len(expr)-1] != byte(wasm.OpEnd) {
		return 0, false
	}
	v, shift := int64(0), 0
	for i, b := range expr[1 : len(expr)-1] {
		v |= int64(b&0x7f) << shift
		shift += 7
		if b&0x80 != 0 {
			continue
		}
		if b&0x40 != 0 {
			v |= -1 << shift
		}
		return uint64(uint32(v)), i == len(expr)-3 && v >= math.MinInt32 && v <= math.MaxInt32
	}
	return 0, false
}

// namesData tells whether any code speaks of data segments. It cannot in a
// module that does not count them beforehand.
func namesData(m *wasm.Module) (bool, error) {
	if m.DataCount == nil {
		return false, nil
	}
	for i := range m.Code {
		r := wasm.NewReader(m.Code[i].Code)
		for in, ok := r.Next(); ok; in, ok = r.Next() {
			if in.Op == opMemoryInit || in.Op == opDataDrop {
				return true, nil
			}
		}
		if r.Err() != nil {
			return false, r.Err()
		}
	}
	return false, nil
}

// layOut lays the active segments out in their order: a later one may overwrite
// an earlier one. Nil: there are none, or they are too far apart.
func layOut(segments []wasm.Data) []span {
	var parts []span
	total := uint64(0)
	for _, d := range segments {
		if d.Form == formPassive || len(d.Init) == 0 {
			continue
		}
		at, _ := constOffset(d.Offset)
		parts = append(parts, span{at, d.Init})
		total += uint64(len(d.Init))
	}
	byOffset := func(s, t span) int { return cmp.Compare(s.at, t.at) }
	spans, ends := []span(nil), []uint64(nil)
	sorted := parts
	if !slices.IsSortedFunc(parts, byOffset) { // toolchains sort them
		sorted = slices.SortedStableFunc(slices.Values(parts), byOffset)
	}
	for _, p := range sorted {
		begin, end := p.at&^(wasmPage-1), p.at+uint64(len(p.data))
		if last := len(spans) - 1; last >= 0 && begin <= roundUp(ends[last]) {
			ends[last] = max(ends[last], end)
			continue
		}
		spans, ends = append(spans, span{at: p.at}), append(ends, end)
	}
	size := uint64(0)
	for i := range spans {
		size += ends[i] - spans[i].at
	}
	if len(spans) > maxSpans || size > total*sparsePart+sparseFree {
		return nil
	}
	for i := range spans {
		spans[i].data = make([]byte, ends[i]-spans[i].at)
	}
	for _, p := range parts {
		i, found := slices.BinarySearchFunc(spans, p, byOffset)
		if !found {
			i--
		}
		copy(spans[i].data[p.at-spans[i].at:], p.data)
	}
	return spans
}

// mapFrom is the size in bytes from which mapping an image is less work than
// copying it.
const mapFrom = 64 << 10

// image is what the memory of each instance holds at the start. Where the
// system can, instances map it and have in common what they do not write to;
// elsewhere they copy it. It is counted who uses it. A nil image is empty.
type image struct {
	spans   []span     // nil: it is mapped
	mapping *sharedMap // nil: it is copied
	users   atomic.Int64
}

// newImage returns an image that has one user.
func newImage(spans []span) *image {
	if len(spans) == 0 {
		return nil
	}
	im := &image{spans: spans}
	im.users.Store(1)
	size := 0
	for _, s := range spans {
		size += len(s.data)
	}
	if size >= mapFrom {
		if im.mapping = newSharedMap(spans); im.mapping != nil {
			im.spans = nil
		}
	}
	return im
}

// take makes the caller another user, who drops it in the end.
func (im *image) take() *image {
	if im != nil {
		im.users.Add(1)
	}
	return im
}

func (im *image) drop() {
	if im != nil && im.users.Add(-1) == 0 && im.mapping != nil {
		im.mapping.close()
	}
}

// lay puts the image into a memory that is all zero. Mappable tells whether the
// memory may be mapped over.
func (im *image) lay(memory []byte, mappable bool) error {
	if im == nil {
		return nil
	}
	for _, s := range im.spans {
		copy(memory[s.at:], s.data)
	}
	switch {
	case im.mapping == nil:
		return nil
	case mappable:
		return im.mapping.over(memory)
	}
	return im.mapping.read(memory)
}
