package kv

// Get is Store.Get of the default binding.
func Get(key string) (value string, ok bool, err error) { return std.Get(key) }

// Set is Store.Set of the default binding.
func Set(key, value string) error { return std.Set(key, value) }

// SetFor is Store.SetFor of the default binding.
func SetFor(key, value string, seconds int) error { return std.SetFor(key, value, seconds) }

// Delete is Store.Delete of the default binding.
func Delete(key string) error { return std.Delete(key) }

// Exists is Store.Exists of the default binding.
func Exists(key string) (bool, error) { return std.Exists(key) }

// Add is Store.Add of the default binding.
func Add(key string, n int32) (int32, error) { return std.Add(key, n) }

// ListPush is Store.ListPush of the default binding.
func ListPush(key, item string) (int, error) { return std.ListPush(key, item) }

// ListRange is Store.ListRange of the default binding.
func ListRange(key string, start, stop int32) ([]string, error) {
	return std.ListRange(key, start, stop)
}

// ListRemove is Store.ListRemove of the default binding.
func ListRemove(key, item string) (int, error) { return std.ListRemove(key, item) }

// ListClear is Store.ListClear of the default binding.
func ListClear(key string) error { return std.ListClear(key) }

// SetAdd is Store.SetAdd of the default binding.
func SetAdd(key, member string) (int, error) { return std.SetAdd(key, member) }

// SetRemove is Store.SetRemove of the default binding.
func SetRemove(key, member string) (int, error) { return std.SetRemove(key, member) }

// SetMembers is Store.SetMembers of the default binding.
func SetMembers(key string) ([]string, error) { return std.SetMembers(key) }

// SetUnion is Store.SetUnion of the default binding.
func SetUnion(keys ...string) ([]string, error) { return std.SetUnion(keys...) }

// SetIntersection is Store.SetIntersection of the default binding.
func SetIntersection(keys ...string) ([]string, error) { return std.SetIntersection(keys...) }
