package wascap

// EncodeSeedForTest makes the seed of given secret bytes.
func EncodeSeedForTest(prefix byte, raw []byte) string {
	return string(encodeKey([]byte{seedPrefix | prefix>>5, prefix << 3}, raw))
}

// EncodePublicForTest makes a public key's text of any bytes.
func EncodePublicForTest(prefix byte, key []byte) string {
	return string(encodeKey([]byte{prefix}, key))
}
