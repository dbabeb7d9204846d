package wasm

// Encode puts the module together. Integers get their shortest form and empty
// sections are left out, so a module that was written in this canonical way
// comes out as it went into Decode.
func (m *Module) Encode() []byte {
	code, whole := m.sizes()
	e := &encoder{b: append(make([]byte, 0, whole), Magic[:]...), scratch: make([]byte, 0, code)}
	e.customs(m, idCustom)
	for _, id := range sectionOrder {
		e.section(m, id)
		e.customs(m, id)
	}
	return e.b
}

// sizes estimates the sizes of the largest section and of the whole module, so
// that nothing large must be copied to make room. What has few bytes is not
// counted.
func (m *Module) sizes() (section, whole int) {
	code, data, customs := 0, 0, 0
	for i := range m.Code {
		code += len(m.Code[i].Code) + 3*len(m.Code[i].Locals) + 8
	}
	for i := range m.Data {
		data += len(m.Data[i].Offset) + len(m.Data[i].Init) + 6
	}
	for i := range m.Customs {
		customs += len(m.Customs[i].Content) + len(m.Customs[i].Name) + 12
	}
	const rest = 16 << 10
	return max(code, data, customs) + rest, code + data + customs + rest
}

type encoder struct {
	b       []byte
	scratch []byte
}

func (e *encoder) customs(m *Module, after byte) {
	for _, c := range m.Customs {
		if c.After == after {
			content := appendName(e.scratch[:0], c.Name)
			e.scratch = append(content, c.Content...)
			e.put(idCustom, e.scratch)
		}
	}
}

func (e *encoder) put(id byte, content []byte) {
	e.b = AppendUint32(append(e.b, id), uint32(len(content)))
	e.b = append(e.b, content...)
}

func (e *encoder) section(m *Module, id byte) {
	b := e.scratch[:0]
	switch id {
	case idType:
		b = appendVec(b, m.Types, appendFuncType)
	case idImport:
		b = appendVec(b, m.Imports, appendImport)
	case idFunction:
		b = appendVec(b, m.Funcs, AppendUint32)
	case idTable:
		b = appendVec(b, m.Tables, appendTableType)
	case idMemory:
		b = appendVec(b, m.Memories, appendLimits)
	case idGlobal:
		b = appendVec(b, m.Globals, func(b []byte, g Global) []byte {
			return append(appendGlobalType(b, g.Type), g.Init...)
		})
	case idExport:
		b = appendVec(b, m.Exports, func(b []byte, x Export) []byte {
			return AppendUint32(append(appendName(b, x.Name), byte(x.Kind)), x.Index)
		})
	case idStart:
		b = appendOptional(b, m.Start)
	case idElement:
		b = appendVec(b, m.Elements, appendElement)
	case idDataCount:
		b = appendOptional(b, m.DataCount)
	case idCode:
		b = appendVec(b, m.Code, appendBody)
	case idData:
		b = appendVec(b, m.Data, appendData)
	}
	e.scratch = b
	if len(b) > 0 {
		e.put(id, b)
	}
}

// appendVec appends nothing for an empty vector: its section is left out. The
// vectors inside of sections go through appendItems.
func appendVec[T any](b []byte, items []T, item func([]byte, T) []byte) []byte {
	if len(items) == 0 {
		return b
	}
	return appendItems(b, items, item)
}

func appendItems[T any](b []byte, items []T, item func([]byte, T) []byte) []byte {
	b = AppendUint32(b, uint32(len(items)))
	for i := range items {
		b = item(b, items[i])
	}
	return b
}

func appendOptional(b []byte, v *uint32) []byte {
	if v == nil {
		return b
	}
	return AppendUint32(b, *v)
}

func appendName(b []byte, name string) []byte {
	return append(AppendUint32(b, uint32(len(name))), name...)
}

func appendBytes(b, content []byte) []byte {
	return append(AppendUint32(b, uint32(len(content))), content...)
}

func appendValType(b []byte, t ValType) []byte { return append(b, byte(t)) }

func appendFuncType(b []byte, t FuncType) []byte {
	b = appendItems(append(b, 0x60), t.Params, appendValType)
	return appendItems(b, t.Results, appendValType)
}

func appendLimits(b []byte, l Limits) []byte {
	var flags byte
	for bit, set := range [...]bool{l.HasMax, l.Shared, l.Is64} {
		if set {
			flags |= 1 << bit
		}
	}
	b = appendUint64(append(b, flags), l.Min)
	if l.HasMax {
		b = appendUint64(b, l.Max)
	}
	return b
}

func appendTableType(b []byte, t TableType) []byte {
	return appendLimits(append(b, byte(t.Elem)), t.Limits)
}

func appendGlobalType(b []byte, t GlobalType) []byte {
	var mutable byte
	if t.Mutable {
		mutable = 1
	}
	return append(b, byte(t.Type), mutable)
}

func appendImport(b []byte, i Import) []byte {
	b = append(appendName(appendName(b, i.Module), i.Name), byte(i.Type.Kind))
	switch i.Type.Kind {
	case KindTag:
		return AppendUint32(append(b, 0), i.Type.TypeIndex)
	case KindTable:
		return appendTableType(b, i.Type.Table)
	case KindMemory:
		return appendLimits(b, i.Type.Memory)
	case KindGlobal:
		return appendGlobalType(b, i.Type.Global)
	}
	return AppendUint32(b, i.Type.TypeIndex)
}

func appendElement(b []byte, e Element) []byte {
	active, explicit, exprs := e.Form&1 == 0, e.Form&2 != 0, e.Form&4 != 0
	b = AppendUint32(b, e.Form)
	if active {
		if explicit {
			b = AppendUint32(b, e.Table)
		}
		b = append(b, e.Offset...)
	}
	switch explicit = explicit || !active; {
	case explicit && exprs:
		b = append(b, byte(e.Type))
	case explicit:
		b = append(b, 0)
	}
	if exprs {
		return appendItems(b, e.Exprs, func(b, expr []byte) []byte { return append(b, expr...) })
	}
	return appendItems(b, e.Funcs, AppendUint32)
}

func appendBody(b []byte, f Body) []byte {
	size := uint32Size(uint32(len(f.Locals))) + len(f.Code)
	for _, l := range f.Locals {
		size += uint32Size(l.Count) + 1
	}
	b = AppendUint32(b, uint32(size))
	b = appendItems(b, f.Locals, func(b []byte, l Locals) []byte {
		return append(AppendUint32(b, l.Count), byte(l.Type))
	})
	return append(b, f.Code...)
}

func appendData(b []byte, s Data) []byte {
	b = AppendUint32(b, s.Form)
	if s.Form == 2 {
		b = AppendUint32(b, s.Memory)
	}
	return appendBytes(append(b, s.Offset...), s.Init)
}
