package wasm

// uint64LEB reads an unsigned LEB128 integer of 64 bits.
func uint64LEB(b []byte) (v uint64, n int, err error) {
	for i := range 10 {
		if i >= len(b) {
			return 0, 0, errTruncated
		}
		c := b[i]
		if i == 9 && c > 1 {
			return 0, 0, errOverlong
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1, nil
		}
	}
	return 0, 0, errOverlong
}

// intLEB reads a signed LEB128 integer of the given number of bits, 32, 33 or
// 64.
func intLEB(b []byte, bits int) (v int64, n int, err error) {
	for shift := 0; ; shift += 7 {
		if n >= len(b) {
			return 0, 0, errTruncated
		}
		c := b[n]
		n++
		v |= int64(c&0x7f) << shift
		if left := bits - shift; left < 7 {
			// Of the last byte that fits, the bits above the type's own must
			// repeat its sign.
			if rest := int8(c<<1) >> left; c >= 0x80 || rest != 0 && rest != -1 {
				return 0, 0, errOverlong
			}
		}
		if c < 0x80 {
			if shift+7 < 64 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v, n, nil
		}
	}
}

// Int32 reads a signed LEB128 integer of 32 bits and tells how many bytes it
// took.
func Int32(b []byte) (v int32, n int, err error) {
	wide, n, err := intLEB(b, 32)
	return int32(wide), n, err
}

// AppendInt64 appends v in the shortest signed LEB128 form; it is right for an
// i32 too.
func AppendInt64(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func appendUint64(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// uint32Size tells how many bytes AppendUint32 appends.
func uint32Size(v uint32) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
