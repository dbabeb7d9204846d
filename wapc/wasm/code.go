package wasm

// Code assembles the body of a function. The methods that write instructions
// return the Code itself, so that they can be chained; those that write blocks
// take a function that writes what is inside and close the block after it.
//
// Code checks nothing. What it writes is as valid as what it was asked for.
type Code struct {
	b      []byte
	params int
	locals []ValType
}

// NewCode starts the body of a function with so many parameters.
func NewCode(params int) *Code {
	return &Code{params: params}
}

// Local declares another local variable and returns its index.
func (c *Code) Local(t ValType) uint32 {
	c.locals = append(c.locals, t)
	return uint32(c.params + len(c.locals) - 1)
}

// Op writes instructions without immediates.
func (c *Code) Op(ops ...Opcode) *Code {
	for _, op := range ops {
		c.b = appendOp(c.b, op)
	}
	return c
}

func appendOp(b []byte, op Opcode) []byte {
	if prefix := byte(op >> 16); prefix != 0 {
		return AppendUint32(append(b, prefix), uint32(op&0xffff))
	}
	return append(b, byte(op))
}

// Index writes an instruction whose immediate is one index: a call, a branch,
// an access to a local or global variable.
func (c *Code) Index(op Opcode, index uint32) *Code {
	c.b = AppendUint32(appendOp(c.b, op), index)
	return c
}

// Get reads a local variable.
func (c *Code) Get(local uint32) *Code { return c.Index(OpLocalGet, local) }

// Set writes a local variable.
func (c *Code) Set(local uint32) *Code { return c.Index(OpLocalSet, local) }

// GetGlobal reads a global variable.
func (c *Code) GetGlobal(global uint32) *Code { return c.Index(OpGlobalGet, global) }

// SetGlobal writes a global variable.
func (c *Code) SetGlobal(global uint32) *Code { return c.Index(OpGlobalSet, global) }

// Call calls a function.
func (c *Code) Call(f uint32) *Code { return c.Index(OpCall, f) }

// Br leaves so many blocks and the one around them, or begins that one again
// if it is a loop.
func (c *Code) Br(label uint32) *Code { return c.Index(OpBr, label) }

// BrIf is Br on a condition.
func (c *Code) BrIf(label uint32) *Code { return c.Index(OpBrIf, label) }

// BrTable branches to the label that an index selects.
func (c *Code) BrTable(labels []uint32, otherwise uint32) *Code {
	c.b = appendItems(append(c.b, byte(OpBrTable)), labels, AppendUint32)
	c.b = AppendUint32(c.b, otherwise)
	return c
}

// I32 writes a constant.
func (c *Code) I32(v int32) *Code {
	c.b = AppendInt64(append(c.b, byte(OpI32Const)), int64(v))
	return c
}

// I64 writes a constant.
func (c *Code) I64(v int64) *Code {
	c.b = AppendInt64(append(c.b, byte(OpI64Const)), v)
	return c
}

// Mem writes a load or a store at a constant offset, without a promise about
// the alignment.
func (c *Code) Mem(op Opcode, offset uint32) *Code {
	c.b = AppendUint32(append(appendOp(c.b, op), 0), offset)
	return c
}

// Block writes a block without parameters and results.
func (c *Code) Block(inside func()) *Code { return c.block(OpBlock, inside) }

// Loop writes a loop without parameters and results.
func (c *Code) Loop(inside func()) *Code { return c.block(OpLoop, inside) }

// If writes what is done on a condition.
func (c *Code) If(inside func()) *Code { return c.block(OpIf, inside) }

// IfElse writes what is done on a condition, and what otherwise.
func (c *Code) IfElse(yes, no func()) *Code {
	return c.block(OpIf, func() {
		yes()
		c.Op(OpElse)
		no()
	})
}

func (c *Code) block(op Opcode, inside func()) *Code {
	const empty = 0x40
	c.b = append(c.b, byte(op), empty)
	inside()
	return c.Op(OpEnd)
}

// Body closes the function and returns it.
func (c *Code) Body() Body {
	var body Body
	for _, t := range c.locals {
		if n := len(body.Locals); n > 0 && body.Locals[n-1].Type == t {
			body.Locals[n-1].Count++
			continue
		}
		body.Locals = append(body.Locals, Locals{Count: 1, Type: t})
	}
	body.Code = append(c.b[:len(c.b):len(c.b)], byte(OpEnd))
	return body
}
