package vectors

// Parse is what Load does with a file's content.
func Parse[V any](data []byte) ([]V, error) { return parse[V](data) }
