package wasm

import (
	"errors"
	"fmt"
)

// Instr is one instruction in a function body or constant expression. Its
// opcode stands in [Start, Imm), its immediates in [Imm, End).
type Instr struct {
	Op              Opcode
	Start, Imm, End int
	// Index is the first immediate if that is an index: of a function, local,
	// global, label, table, type or segment, as the opcode has it.
	Index uint32
	// Depth tells in how many blocks the instruction stands. A block's own
	// opcode and its end stand outside of it.
	Depth int
}

// RefersToFunc tells whether the instruction's immediate is a function index.
// No other instruction has one.
func (i Instr) RefersToFunc() bool {
	return i.Op == OpCall || i.Op == OpReturnCall || i.Op == OpRefFunc
}

// AppendLabels appends the labels of a br_table, the default label last. The
// instruction must have been read from code.
func (i Instr) AppendLabels(labels []uint32, code []byte) []uint32 {
	at := i.Imm
	for first := true; at < i.End; first = false {
		v, n, err := Uint32(code[at:i.End])
		if err != nil {
			return labels // a Reader has seen that there is none
		}
		if at += n; !first { // which is their number
			labels = append(labels, v)
		}
	}
	return labels
}

// Reader walks instructions one after the other. It knows the core
// specification 2.0 and tail calls; what it does not know, it refuses.
type Reader struct {
	code  []byte
	at    int
	depth int
	open  bool // the code may go on after the expression
	done  bool
	err   error
}

// NewReader returns a Reader of a function body's instructions, or of a
// constant expression. The end that closes it must be its last byte.
func NewReader(code []byte) *Reader {
	return &Reader{code: code}
}

// Err tells why Next gave no further instruction: nil if all were read.
func (r *Reader) Err() error { return r.err }

// errUnknownOpcode is wrapped with the opcode.
var errUnknownOpcode = fmt.Errorf("%w: unknown opcode", ErrUnsupported)

// Next reads the next instruction. It returns false after the last, and where
// there is an error.
func (r *Reader) Next() (Instr, bool) {
	if r.done {
		return Instr{}, false
	}
	in := Instr{Start: r.at}
	class, err := r.opcode(&in)
	if err == nil {
		in.Imm = r.at
		err = r.immediates(class, &in)
	}
	if err != nil {
		r.err, r.done = fmt.Errorf("at offset %d: %w", in.Start, err), true
		r.at = in.Start
		return Instr{}, false
	}
	in.End = r.at
	in.Depth = r.depth
	switch in.Op {
	case OpBlock, OpLoop, OpIf:
		r.depth++
	case OpElse:
		in.Depth--
	case OpEnd:
		r.depth--
		in.Depth--
		r.done = r.depth < 0
	}
	if r.done && !r.open && r.at != len(r.code) {
		r.err = fmt.Errorf("%w: at offset %d: instructions after the last end", ErrMalformed, r.at)
		return Instr{}, false
	}
	return in, true
}

// nextFuncRef reads on to the next instruction that refers to a function, as
// Next would. It goes quickly over what makes up most of a function: it takes
// short forms at a glance and leaves the rest, blocks and errors to Next.
func (r *Reader) nextFuncRef() (Instr, bool) {
	for {
		for !r.done && r.at+2 < len(r.code) {
			c, next := r.code[r.at], r.code[r.at+1]
			class := plainOps[c]
			switch op := Opcode(c); {
			case class == immNone && op != OpEnd && op != OpElse:
				r.at++
				continue
			case class == immIndex && next < 0x80 && op != OpCall && op != OpReturnCall && op != OpRefFunc,
				(class == immI32 || class == immI64) && next < 0x80:
				r.at += 2
				continue
			case class == immMemory && next < 1<<6 && r.code[r.at+2] < 0x80:
				r.at += 3
				continue
			}
			break
		}
		in, ok := r.Next()
		if !ok || in.RefersToFunc() {
			return in, ok
		}
	}
}

// opcode reads the opcode and tells what follows it.
func (r *Reader) opcode(in *Instr) (class byte, err error) {
	if r.at >= len(r.code) {
		return 0, fmt.Errorf("%w: the last end is missing", ErrMalformed)
	}
	c := r.code[r.at]
	r.at++
	in.Op = Opcode(c)
	if c != prefixMisc && c != prefixSIMD {
		if class = plainOps[c]; class == immUnknown {
			return 0, fmt.Errorf("%w %v", errUnknownOpcode, in.Op)
		}
		return class, nil
	}
	start := r.at
	n, err := r.u32()
	if err != nil {
		return 0, err
	}
	if c == prefixSIMD && r.at-start != uint32Size(n) {
		// Engines take one byte and go on behind it: they would see other code.
		return 0, fmt.Errorf("%w: the vector opcode %d in %d bytes", ErrUnsupported, n, r.at-start)
	}
	ops := miscOps
	if c == prefixSIMD {
		ops = simdOps
	}
	if n >= uint32(len(ops)) || ops[n] == immUnknown {
		return 0, fmt.Errorf("%w %#02x %d", errUnknownOpcode, c, n)
	}
	in.Op = Opcode(c)<<16 | Opcode(n)
	return ops[n], nil
}

func (r *Reader) immediates(class byte, in *Instr) (err error) {
	switch class {
	case immNone:
	case immIndex, immIndexes:
		in.Index, err = r.u32()
		if err == nil && class == immIndexes {
			_, err = r.u32()
		}
	case immBlock:
		err = r.blockType()
	case immMemory, immMemLane:
		err = r.memArg()
		if err == nil && class == immMemLane {
			err = r.skip(1)
		}
	case immLabels:
		err = r.labels()
	case immTypes:
		err = r.types()
	case immRefType:
		err = r.valType(ValType.isRef)
	case immI32, immI64:
		bits := 32
		if class == immI64 {
			bits = 64
		}
		var n int
		_, n, err = intLEB(r.code[r.at:], bits)
		r.at += n
	case immLane:
		err = r.skip(1)
	case immF32:
		err = r.skip(4)
	case immF64:
		err = r.skip(8)
	case immV128:
		err = r.skip(16)
	}
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}

var errCodeEnds = errors.New("the code ends in the middle of an instruction")

func (r *Reader) skip(n int) error {
	if len(r.code)-r.at < n {
		return errCodeEnds
	}
	r.at += n
	return nil
}

func (r *Reader) u32() (uint32, error) {
	if r.at < len(r.code) && r.code[r.at] < 0x80 { // nearly always
		r.at++
		return uint32(r.code[r.at-1]), nil
	}
	v, n, err := Uint32(r.code[r.at:])
	r.at += n
	return v, err
}

func (r *Reader) valType(ok func(ValType) bool) error {
	if err := r.skip(1); err != nil {
		return err
	}
	if c := r.code[r.at-1]; !ok(ValType(c)) {
		return fmt.Errorf("%w: the type %#02x", ErrUnsupported, c)
	}
	return nil
}

// blockType reads a value type, or the index of a function type: a signed
// integer of 33 bits, which may not be negative.
func (r *Reader) blockType() error {
	const empty = 0x40
	if r.at < len(r.code) && r.code[r.at] >= 0x40 && r.code[r.at] < 0x80 {
		return r.valType(func(t ValType) bool { return t == empty || t.known() })
	}
	index, n, err := intLEB(r.code[r.at:], 33)
	r.at += n
	if err == nil && index < 0 {
		return fmt.Errorf("%w: the block type %d", ErrUnsupported, index)
	}
	return err
}

// memArg reads an alignment and an offset; between them the memory's index, if
// bit 6 of the alignment says so. Which memories there are is the validator's
// business, and so is the alignment.
func (r *Reader) memArg() error {
	const hasIndex = 1 << 6
	align, err := r.u32()
	if err == nil && align >= 2*hasIndex {
		return fmt.Errorf("%w: the alignment %d", ErrUnsupported, align)
	}
	if err == nil && align&hasIndex != 0 {
		_, err = r.u32()
	}
	if err != nil {
		return err
	}
	_, n, err := uint64LEB(r.code[r.at:])
	r.at += n
	return err
}

func (r *Reader) labels() error {
	count, err := r.u32()
	if err == nil && uint64(count) >= uint64(len(r.code)-r.at) {
		err = errCodeEnds
	}
	for n := uint64(count) + 1; n > 0 && err == nil; n-- {
		_, err = r.u32()
	}
	return err
}

func (r *Reader) types() error {
	count, err := r.u32()
	if err == nil && uint64(count) >= uint64(len(r.code)-r.at) {
		err = errCodeEnds
	}
	for ; count > 0 && err == nil; count-- {
		err = r.valType(ValType.known)
	}
	return err
}

// Run is a run of plain instructions.
type Run struct {
	N      int // how many they are
	Before int // where the last but one starts; negative if there is none
	Last   int // where the last starts; negative if there is none
	End    int // where the next instruction starts
}

// Plain reads plain instructions, at most so many: constants, accesses to
// local variables and memory, and what takes a few cycles, of which most code is made.
// It is many times faster than Next, to which it leaves all others, among them
// those that are encoded in an unusual way.
func (r *Reader) Plain(most int) Run {
	run := Run{Before: -1, Last: -1, End: r.at}
	if r.done {
		return run
	}
	for ; run.N < most && run.End < len(r.code); run.N++ {
		at := run.End + 1
		switch class := runOps[r.code[run.End]]; class {
		case immNone:
		case immF32:
			at += 4
		case immF64:
			at += 8
		case immMemory:
			if at < len(r.code) && r.code[at] >= 0x40 { // more than an alignment
				at = len(r.code)
			}
			at = shortLEB(r.code, at)
			at = shortLEB(r.code, at)
		case immIndex:
			at = shortLEB(r.code, at)
		default:
			at = len(r.code) + 1
		}
		if at > len(r.code) {
			break
		}
		run.Before, run.Last, run.End = run.Last, run.End, at
	}
	r.at = run.End
	return run
}

// shortLEB returns where an integer of at most four bytes ends, which fits in
// any type; behind the code's end if it is longer.
func shortLEB(code []byte, at int) int {
	for end := min(at+4, len(code)); at < end; at++ {
		if code[at] < 0x80 {
			return at + 1
		}
	}
	return len(code) + 1
}
