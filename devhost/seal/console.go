package seal

import "github.com/waxosuit/waxo/wapc/wasm"

// An unfinished line is kept in lineWords variables of eight bytes each, the
// first byte lowest, as it will stand in memory. The word that is being filled
// is kept apart, so that one of many variables is selected once in eight
// bytes.
const (
	lineWords = 128
	lineBytes = 8 * lineWords
)

func (l *linker) lineLength() uint32 { return l.global("line length", wasm.I32, 0, 1) }
func (l *linker) lineOwner() uint32  { return l.global("line owner", wasm.I32, 0, 1) }
func (l *linker) lineTail() uint32   { return l.global("line tail", wasm.I64, 0, 1) }
func (l *linker) lineWord() uint32   { return l.global("line words", wasm.I64, 0, lineWords) }

func (l *linker) flushLine() uint32  { return l.function("seal.flush_line", ":", flushLine) }
func (l *linker) appendByte() uint32 { return l.function("seal.append_byte", "i:", appendByte) }
func (l *linker) setWord() uint32    { return l.function("seal.set_word", "iI:", setWord) }

func fdWrite(l *linker, c *wasm.Code) {
	const fd, iovs, n, nwritten = 0, 1, 2, 3
	const iovSize, iovLen = 8, 4
	write := l.function("seal.write", "iii:", writeText)
	total := c.Local(wasm.I32)
	c.Get(fd).I32(1).Op(wasm.OpI32Sub).I32(2).Op(wasm.OpI32LtU)
	returnUnless(c, errnoBadf)
	c.Block(func() {
		c.Loop(func() {
			c.Get(n).Op(wasm.OpI32Eqz).BrIf(1)
			c.Get(fd)
			c.Get(iovs).Mem(wasm.OpI32Load, 0)
			c.Get(iovs).Mem(wasm.OpI32Load, iovLen)
			c.Call(write)
			c.Get(total).Get(iovs).Mem(wasm.OpI32Load, iovLen).Op(wasm.OpI32Add).Set(total)
			c.Get(iovs).I32(iovSize).Op(wasm.OpI32Add).Set(iovs)
			c.Get(n).I32(1).Op(wasm.OpI32Sub).Set(n)
			c.Br(0)
		})
	})
	c.Get(nwritten).Get(total).Mem(wasm.OpI32Store, 0)
	c.I32(errnoSuccess)
}

// writeText takes text apart into lines. One that is there as a whole goes to
// the host from where it stands; the others through the buffer.
func writeText(l *linker, c *wasm.Code) {
	const fd, text, n = 0, 1, 2
	length, owner := l.lineLength(), l.lineOwner()
	end, char := c.Local(wasm.I32), c.Local(wasm.I32)
	c.Get(n).Op(wasm.OpI32Eqz).If(func() { c.Op(wasm.OpReturn) })
	c.GetGlobal(owner).Get(fd).Op(wasm.OpI32Ne).If(func() { c.Call(l.flushLine()) })
	c.Get(fd).SetGlobal(owner)
	c.Loop(func() {
		c.GetGlobal(length).Op(wasm.OpI32Eqz).If(func() {
			findNewline(c, text, n, end)
			c.Get(end).Get(n).Op(wasm.OpI32LtU).If(func() {
				c.Get(text).Get(end).Call(l.console)
				c.Get(end).I32(1).Op(wasm.OpI32Add).Index(wasm.OpLocalTee, end)
				c.Get(text).Op(wasm.OpI32Add).Set(text)
				c.Get(n).Get(end).Op(wasm.OpI32Sub).Index(wasm.OpLocalTee, n)
				c.BrIf(2).Op(wasm.OpReturn)
			})
		})
		c.Get(text).Mem(wasm.OpI32Load8U, 0).Index(wasm.OpLocalTee, char)
		c.I32('\n').Op(wasm.OpI32Eq).IfElse(
			func() { c.Call(l.flushLine()) },
			func() { c.Get(char).Call(l.appendByte()) },
		)
		c.Get(text).I32(1).Op(wasm.OpI32Add).Set(text)
		c.Get(n).I32(1).Op(wasm.OpI32Sub).Index(wasm.OpLocalTee, n).BrIf(0)
	})
}

// findNewline sets end to the position of the first newline, or to n.
func findNewline(c *wasm.Code, text, n, end uint32) {
	c.I32(0).Set(end)
	c.Block(func() {
		c.Loop(func() {
			c.Get(text).Get(end).Op(wasm.OpI32Add).Mem(wasm.OpI32Load8U, 0)
			c.I32('\n').Op(wasm.OpI32Eq).BrIf(1)
			c.Get(end).I32(1).Op(wasm.OpI32Add).Index(wasm.OpLocalTee, end)
			c.Get(n).Op(wasm.OpI32LtU).BrIf(0)
		})
	})
}

// appendByte adds to the line. The line is passed on first if the UTF-8
// character that begins with the byte does not fit any more, so that none is
// cut in two.
func appendByte(l *linker, c *wasm.Code) {
	const char = 0
	length, tail := l.lineLength(), l.lineTail()
	c.GetGlobal(length).I32(1).Op(wasm.OpI32Add)
	for _, longer := range [...]int32{0xc0, 0xe0, 0xf0} { // 2, 3 and 4 bytes begin here
		c.Get(char).I32(longer).Op(wasm.OpI32GeU, wasm.OpI32Add)
	}
	c.I32(lineBytes).Op(wasm.OpI32GtU).If(func() { c.Call(l.flushLine()) })

	c.GetGlobal(tail)
	c.Get(char).Op(wasm.OpI64ExtendI32U)
	c.GetGlobal(length).I32(3).Op(wasm.OpI32Shl, wasm.OpI64ExtendI32U) // counts modulo 64
	c.Op(wasm.OpI64Shl, wasm.OpI64Or).SetGlobal(tail)
	c.GetGlobal(length).I32(1).Op(wasm.OpI32Add).SetGlobal(length)
	c.GetGlobal(length).I32(7).Op(wasm.OpI32And, wasm.OpI32Eqz).If(func() {
		c.GetGlobal(length).I32(3).Op(wasm.OpI32ShrU).I32(1).Op(wasm.OpI32Sub)
		c.GetGlobal(tail).Call(l.setWord())
		c.I64(0).SetGlobal(tail)
	})
}

// setWord sets one of the variables that hold the line.
func setWord(l *linker, c *wasm.Code) {
	const index, value = 0, 1
	words := l.lineWord()
	labels := make([]uint32, lineWords)
	for i := range labels {
		labels[i] = uint32(i)
	}
	var cases func(n uint32)
	cases = func(n uint32) {
		if n == 0 {
			c.Get(index).BrTable(labels, lineWords-1)
			return
		}
		c.Block(func() { cases(n - 1) })
		c.Get(value).SetGlobal(words + n - 1).Op(wasm.OpReturn)
	}
	cases(lineWords)
}

// flushLine passes on the line, if there is something in it.
func flushLine(l *linker, c *wasm.Code) {
	length, tail := l.lineLength(), l.lineTail()
	swap := l.function("seal.swap_line", ":", swapLine)
	c.GetGlobal(length).Op(wasm.OpI32Eqz).If(func() { c.Op(wasm.OpReturn) })
	c.GetGlobal(length).I32(7).Op(wasm.OpI32And).If(func() {
		c.GetGlobal(length).I32(3).Op(wasm.OpI32ShrU).GetGlobal(tail).Call(l.setWord())
		c.I64(0).SetGlobal(tail)
	})
	c.Call(swap)
	c.I32(0).GetGlobal(length).Call(l.console)
	c.Call(swap)
	c.I32(0).SetGlobal(length)
}

// swapLine exchanges the variables with the first bytes of the memory.
func swapLine(l *linker, c *wasm.Code) {
	words := l.lineWord()
	for i := range uint32(lineWords) {
		c.I32(0).GetGlobal(words + i)
		c.I32(0).Mem(wasm.OpI64Load, 8*i).SetGlobal(words + i)
		c.Mem(wasm.OpI64Store, 8*i)
	}
}

func procExit(l *linker, c *wasm.Code) {
	const status = 0
	c.Call(l.flushLine())
	c.Get(status).If(func() {
		for _, char := range []byte("exit status ") {
			c.I32(int32(char)).Call(l.appendByte())
		}
		c.Get(status).Call(l.function("seal.append_decimal", "i:", appendDecimal))
		c.Call(l.flushLine())
	})
	c.Op(wasm.OpUnreachable)
}

// appendDecimal adds a number to the line.
func appendDecimal(l *linker, c *wasm.Code) {
	const number = 0
	c.Get(number).I32(10).Op(wasm.OpI32GeU).If(func() {
		c.Get(number).I32(10).Op(wasm.OpI32DivU)
		c.Call(l.function("seal.append_decimal", "i:", appendDecimal))
	})
	c.I32('0').Get(number).I32(10).Op(wasm.OpI32RemU, wasm.OpI32Add).Call(l.appendByte())
}
