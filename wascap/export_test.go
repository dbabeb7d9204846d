package wascap

// EncodeSeedForTest makes the seed of given secret bytes.
func EncodeSeedForTest(prefix byte, raw []byte) string {
	return string(encodeKey([]byte{seedPrefix | prefix>>5, prefix << 3}, raw))
}
