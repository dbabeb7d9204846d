//go:build linux && (amd64 || arm64)

package wapc

import (
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMap is a file in memory that instances map privately: a page is copied
// when its instance first writes to it.
type sharedMap struct {
	file  *os.File
	parts []mappedPart
}

// mappedPart is a stretch of whole pages.
type mappedPart struct {
	at     uint64 // in an instance's memory
	size   uint64
	offset uint64 // in the file
}

// newSharedMap returns nil where the system does not provide one.
func newSharedMap(spans []span) *sharedMap {
	fd, err := unix.MemfdCreate("waxo-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil
	}
	m := &sharedMap{file: os.NewFile(uintptr(fd), "waxo-image")}
	size := uint64(0)
	for _, s := range spans {
		begin, end := s.bounds()
		m.parts = append(m.parts, mappedPart{begin, end - begin, size})
		if _, err = m.file.WriteAt(s.data, int64(size+s.at-begin)); err != nil {
			m.close()
			return nil
		}
		size += end - begin
	}
	if err = m.file.Truncate(int64(size)); err == nil {
		// Nothing in this process may change what all instances see.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		m.close()
		return nil
	}
	return m
}

// over maps the file over a memory, which is a mapping of this process's. After
// an error the memory may have holes.
func (m *sharedMap) over(memory []byte) error {
	for _, p := range m.parts {
		part := memory[p.at : p.at+p.size]
		_, err := unix.MmapPtr(int(m.file.Fd()), int64(p.offset), unsafe.Pointer(&part[0]), uintptr(p.size),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		if err != nil {
			return err
		}
	}
	return nil
}

// read copies the file to a memory.
func (m *sharedMap) read(memory []byte) error {
	for _, p := range m.parts {
		part := io.NewSectionReader(m.file, int64(p.offset), int64(p.size))
		if _, err := io.ReadFull(part, memory[p.at:p.at+p.size]); err != nil {
			return err
		}
	}
	return nil
}

// close ends the use of the file. What is mapped stays.
func (m *sharedMap) close() { _ = m.file.Close() }
