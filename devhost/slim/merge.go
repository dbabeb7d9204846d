package slim

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

const pageSize = 64 << 10

// maxGap is how many zeros a data segment may hold in a row: so much is copied
// sooner than another segment is decoded and kept.
const maxGap = 64

// merge writes the active data segments as few as is reasonable.
func merge(m *wasm.Module) (Result, error) {
	var refs map[uint32]bool
	if m.DataCount != nil { // no instruction names a segment otherwise
		f, err := look(m)
		if err != nil {
			return Result{}, err
		}
		refs = f.dataRefs
	}
	g := &merger{image: make(image, 0, len(m.Data)), fresh: true}
	if reason := g.read(m, refs); reason != "" {
		return Result{Detail: reason}, nil
	}
	before := len(m.Data)
	if err := g.write(m, refs); err != nil {
		return Result{}, err
	}
	r := Result{Done: true, changed: true}
	r.Detail = fmt.Sprintf("%s became %d", count(before, "data segment"), len(m.Data))
	return r, nil
}

// merger collects what the data section will hold.
type merger struct {
	image image // pieces since the last segment whose place is not known
	fresh bool  // nothing stands in the memory before them
	data  []wasm.Data
	rest  []wasm.Data // passive segments
	moved map[uint32]uint32
}

// read takes the data section in. It says why that is not possible.
func (g *merger) read(m *wasm.Module, refs map[uint32]bool) (reason string) {
	if len(m.Memories) != 1 || len(m.Imports) != m.ImportedFuncs() {
		return "the module's memory is not its only memory, or not its own"
	}
	if m.DataCount != nil && uint64(*m.DataCount) != uint64(len(m.Data)) {
		return "the module does not have as many data segments as it says"
	}
	for ref := range refs {
		if uint64(ref) >= uint64(len(m.Data)) {
			return "an instruction names a data segment that does not exist"
		}
	}
	size := m.Memories[0].Min * pageSize
	g.moved = map[uint32]uint32{}
	for i, d := range m.Data {
		offset, constant := constOffset(d.Offset)
		switch {
		case d.Form == 1:
			g.moved[uint32(i)] = uint32(len(g.rest))
			g.rest = append(g.rest, d)
		case refs[uint32(i)]:
			return fmt.Sprintf("an instruction names data segment %d, which is active", i)
		case d.Form == 2 && d.Memory != 0:
			return fmt.Sprintf("data segment %d is for a memory that does not exist", i)
		case !constant:
			g.flush()
			g.data, g.fresh = append(g.data, d), false
		case uint64(offset)+uint64(len(d.Init)) > size:
			return fmt.Sprintf("data segment %d lies outside of the memory: no instance can start", i)
		default:
			g.image = append(g.image, piece{offset, d.Init})
		}
	}
	g.flush()
	return ""
}

func (g *merger) flush() {
	g.data = g.image.appendTo(g.data, g.fresh)
	g.image = g.image[:0]
}

// write replaces the data section. Passive segments go to its end, so that the
// instructions that name them need new numbers.
func (g *merger) write(m *wasm.Module, refs map[uint32]bool) error {
	dropCustoms(m, aboutLayout)
	dropDataNames(m)
	first := uint32(len(g.data))
	m.Data = append(g.data, g.rest...)
	if m.DataCount != nil {
		count := uint32(len(m.Data))
		m.DataCount = &count
	}
	if len(refs) == 0 {
		return nil
	}
	for i := range m.Code {
		code, err := renumberData(m.Code[i].Code, func(old uint32) uint32 { return first + g.moved[old] })
		if err != nil {
			return err
		}
		m.Code[i].Code = code
	}
	return nil
}

// dropDataNames removes the names of data segments.
func dropDataNames(m *wasm.Module) {
	const dataNames = 9
	for i, c := range m.Customs {
		if c.Name != wasm.NameSection {
			continue
		}
		names, err := wasm.DecodeNames(c.Content)
		if err != nil {
			continue
		}
		rest := slices.DeleteFunc(names.Rest, func(s wasm.NameSubsection) bool { return s.ID == dataNames })
		if len(rest) < len(names.Rest) {
			names.Rest = rest
			m.Customs[i].Content = names.Encode()
		}
	}
}

// renumberData returns code with the numbers of data segments changed; code
// itself where none is named.
func renumberData(code []byte, number func(uint32) uint32) ([]byte, error) {
	var out []byte
	copied := 0
	err := walk(code, func(in wasm.Instr) {
		if in.Op != opMemoryInit && in.Op != opDataDrop {
			return
		}
		out = wasm.AppendUint32(append(out, code[copied:in.Imm]...), number(in.Index))
		copied = in.Imm
		for code[copied] >= 0x80 {
			copied++
		}
		copied++
	})
	if err != nil || out == nil {
		return code, err
	}
	return append(out, code[copied:]...), nil
}

// constOffset reads an offset that is a single i32.const.
func constOffset(expr []byte) (offset uint32, ok bool) {
	if len(expr) < 3 || wasm.Opcode(expr[0]) != wasm.OpI32Const {
		return 0, false
	}
	shift := 0
	for i, c := range expr[1:] {
		offset |= uint32(c&0x7f) << shift
		shift += 7
		if c < 0x80 {
			if c&0x40 != 0 && shift < 32 {
				offset |= ^uint32(0) << shift
			}
			return offset, len(expr) == i+3 // and the end
		}
	}
	return 0, false
}

// image is what data segments write, in their order.
type image []piece

type piece struct {
	offset uint32
	bytes  []byte
}

// appendTo appends segments that write the same. In fresh memory, which holds
// zeros alone, they may write zeros where none of the pieces does, and need not
// write zeros.
func (g image) appendTo(data []wasm.Data, fresh bool) []wasm.Data {
	gap := uint64(0)
	if fresh {
		gap = maxGap
	}
	order := make([]int, len(g))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(g[a].offset, g[b].offset) })
	for len(order) > 0 {
		start := uint64(g[order[0]].offset)
		end, n := start, 0
		for ; n < len(order); n++ {
			p := g[order[n]]
			if uint64(p.offset) > end+gap {
				break
			}
			end = max(end, uint64(p.offset)+uint64(len(p.bytes)))
		}
		cluster := order[:n]
		order = order[n:]
		slices.Sort(cluster) // where pieces overlap, the later one counts
		b := make([]byte, end-start)
		for _, i := range cluster {
			copy(b[uint64(g[i].offset)-start:], g[i].bytes)
		}
		if fresh {
			data = appendNonZero(data, uint32(start), b)
		} else if len(b) > 0 {
			data = append(data, active(uint32(start), b))
		}
	}
	return data
}

func active(offset uint32, b []byte) wasm.Data {
	return wasm.Data{Offset: wasm.NewCode(0).I32(int32(offset)).Body().Code, Init: b}
}

var zeros [maxGap + 1]byte

// appendNonZero appends segments for what is not zero in b, which stands at
// offset. Shorter runs of zeros than a segment costs stay in.
func appendNonZero(data []wasm.Data, offset uint32, b []byte) []wasm.Data {
	for at := 0; ; {
		at += leadingZeros(b[at:])
		if at == len(b) {
			return data
		}
		end := at + zeroRun(b[at:])
		for b[end-1] == 0 {
			end--
		}
		data = append(data, active(offset+uint32(at), b[at:end:end]))
		at = end
	}
}

// zeroRun tells where the first run of more than maxGap zeros begins; the length
// of b if there is none. It looks at few bytes: those between two that are not
// zero and less than that apart do not matter.
func zeroRun(b []byte) int {
	for start := 0; start+maxGap < len(b); {
		i := start + maxGap
		for i >= start && b[i] == 0 {
			i--
		}
		if i < start {
			return start
		}
		start = i + 1
	}
	return len(b)
}

func leadingZeros(b []byte) int {
	n := 0
	for len(b)-n > len(zeros) && bytes.Equal(b[n:n+len(zeros)], zeros[:]) {
		n += len(zeros)
	}
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
}
