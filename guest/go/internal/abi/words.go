package abi

import "unsafe"

// Equal compares as == does. On WebAssembly that takes a byte at a time; this takes
// eight.
func Equal(b []byte, s string) bool {
	n := len(b)
	if n != len(s) {
		return false
	}
	p, q := unsafe.Pointer(unsafe.SliceData(b)), unsafe.Pointer(unsafe.StringData(s))
	i := 0
	if unaligned {
		for ; i+16 <= n; i += 16 {
			if *(*uint64)(unsafe.Add(p, i)) != *(*uint64)(unsafe.Add(q, i)) || *(*uint64)(unsafe.Add(p, i+8)) != *(*uint64)(unsafe.Add(q, i+8)) {
				return false
			}
		}
	}
	for ; i < n; i++ {
		if b[i] != s[i] {
			return false
		}
	}
	return true
}

// ASCII reports whether b holds nothing but ASCII, of which every part is UTF-8.
func ASCII(b []byte) bool {
	p, i, all := unsafe.Pointer(unsafe.SliceData(b)), 0, uint64(0)
	if unaligned {
		for ; i+16 <= len(b); i += 16 {
			all |= *(*uint64)(unsafe.Add(p, i)) | *(*uint64)(unsafe.Add(p, i+8))
		}
	}
	for ; i < len(b); i++ {
		all |= uint64(b[i])
	}
	return all&0x8080808080808080 == 0
}
