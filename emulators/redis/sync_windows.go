package redis

// syncDir has nothing to do: a rename lasts without it.
func syncDir(string) error { return nil }
