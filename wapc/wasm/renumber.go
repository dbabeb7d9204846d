package wasm

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// CodeError tells where in a module's code an instruction cannot be used.
type CodeError struct {
	Func   uint32 // function index
	Offset int    // of the function's code in the module; Err has the offset in there
	Err    error
}

func (e *CodeError) Error() string {
	return fmt.Sprintf("code of function %d, which starts at offset %d: %v", e.Func, e.Offset, e.Err)
}

// Unwrap returns what is wrong with the instruction.
func (e *CodeError) Unwrap() error { return e.Err }

// RenumberFuncs changes every function index i in the module to numbers[i]: in
// code, constant expressions, elements, exports and the start section. It
// changes no import, no definition and no custom section: whoever moves those
// does so to fit (see Names.RenumberFuncs for the names).
//
// Everything is walked, also where no number changes, so that nil means that
// each instruction is known and each function index lies within numbers. After
// an error the module is half renumbered and of no use.
//
// Bytes that the module aliases are left alone: what changes is copied.
func (m *Module) RenumberFuncs(numbers []uint32) error {
	if err := m.renumberCode(numbers); err != nil {
		return err
	}
	if err := m.renumberElements(numbers); err != nil {
		return err
	}
	var err error
	for i := range m.Globals {
		if m.Globals[i].Init, err = renumberExpr(m.Globals[i].Init, numbers); err != nil {
			return fmt.Errorf("initial value of a global: %w", err)
		}
	}
	for i := range m.Data {
		if m.Data[i].Form == 1 {
			continue
		}
		if m.Data[i].Offset, err = renumberExpr(m.Data[i].Offset, numbers); err != nil {
			return fmt.Errorf("offset of the data segment %d: %w", i, err)
		}
	}
	for i := range m.Exports {
		if e := &m.Exports[i]; e.Kind == KindFunc {
			if e.Index, err = renumber(e.Index, numbers); err != nil {
				return fmt.Errorf("export %q: %w", e.Name, err)
			}
		}
	}
	if m.Start != nil {
		start, err := renumber(*m.Start, numbers)
		if err != nil {
			return fmt.Errorf("start section: %w", err)
		}
		m.Start = &start
	}
	return nil
}

// renumberCode works on all cores: walking the code is most of the work.
func (m *Module) renumberCode(numbers []uint32) error {
	const chunk = 64 // functions
	var wg sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	bad, cause := len(m.Code), error(nil) // the first function that cannot be read, and why
	for range min(runtime.GOMAXPROCS(0), len(m.Code)/chunk+1) {
		wg.Go(func() {
			for from := int(next.Add(chunk)) - chunk; from < len(m.Code); from = int(next.Add(chunk)) - chunk {
				for i := from; i < min(from+chunk, len(m.Code)); i++ {
					code, err := renumberExpr(m.Code[i].Code, numbers)
					if err == nil {
						m.Code[i].Code = code
						continue
					}
					mu.Lock()
					if i < bad {
						bad, cause = i, err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	if cause != nil {
		return &CodeError{Func: uint32(m.ImportedFuncs() + bad), Offset: m.Code[bad].Offset, Err: cause}
	}
	return nil
}

func (m *Module) renumberElements(numbers []uint32) (err error) {
	for i := range m.Elements {
		e := &m.Elements[i]
		if e.Form&1 == 0 {
			if e.Offset, err = renumberExpr(e.Offset, numbers); err != nil {
				return fmt.Errorf("offset of the element segment %d: %w", i, err)
			}
		}
		for k := range e.Funcs {
			if e.Funcs[k], err = renumber(e.Funcs[k], numbers); err != nil {
				return fmt.Errorf("element segment %d: %w", i, err)
			}
		}
		for k := range e.Exprs {
			if e.Exprs[k], err = renumberExpr(e.Exprs[k], numbers); err != nil {
				return fmt.Errorf("element segment %d: %w", i, err)
			}
		}
	}
	return nil
}

func renumber(index uint32, numbers []uint32) (uint32, error) {
	if uint64(index) >= uint64(len(numbers)) {
		return 0, fmt.Errorf("%w: there is no function %d", ErrMalformed, index)
	}
	return numbers[index], nil
}

// renumberExpr returns code with its function indexes changed; code itself if
// none does.
func renumberExpr(code []byte, numbers []uint32) ([]byte, error) {
	var out []byte
	copied := 0
	r := NewReader(code)
	for {
		in, ok := r.nextFuncRef()
		if !ok {
			break
		}
		to, err := renumber(in.Index, numbers)
		if err != nil {
			return nil, fmt.Errorf("at offset %d: %w", in.Start, err)
		}
		if to == in.Index {
			continue
		}
		if out == nil {
			out = make([]byte, 0, len(code)+16)
		}
		out = AppendUint32(append(out, code[copied:in.Imm]...), to)
		copied = in.End
	}
	if err := r.Err(); err != nil || out == nil {
		return code, err
	}
	return append(out, code[copied:]...), nil
}
