package blob

// CreateContainer is Store.CreateContainer of the default binding.
func CreateContainer(id string) error { return std.CreateContainer(id) }

// RemoveContainer is Store.RemoveContainer of the default binding.
func RemoveContainer(id string) error { return std.RemoveContainer(id) }

// List is Store.List of the default binding.
func List(container string) ([]Blob, error) { return std.List(container) }

// Info is Store.Info of the default binding.
func Info(container, id string) (b Blob, ok bool, err error) { return std.Info(container, id) }

// Remove is Store.Remove of the default binding.
func Remove(container, id string) error { return std.Remove(container, id) }

// Put is Store.Put of the default binding.
func Put(container, id string, data []byte) error { return std.Put(container, id, data) }

// Upload is Store.Upload of the default binding.
func Upload(container, id string, size uint64) (*Writer, error) {
	return std.Upload(container, id, size)
}

// StartUpload is Store.StartUpload of the default binding.
func StartUpload(container, id string, size uint64, chunkSize int) (Transfer, error) {
	return std.StartUpload(container, id, size, chunkSize)
}

// UploadChunk is Store.UploadChunk of the default binding.
func UploadChunk(t Transfer, number uint64, data []byte) error {
	return std.UploadChunk(t, number, data)
}

// Download is Store.Download of the default binding.
func Download(container, id string, chunkSize int) (Transfer, error) {
	return std.Download(container, id, chunkSize)
}
