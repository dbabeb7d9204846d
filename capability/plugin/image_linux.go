package plugin

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// memoryImage makes an image in memory. There is no name by which others could
// open it, and once it is sealed, this process cannot change it either.
func memoryImage(name string) (*image, *os.File, error) {
	// Through the descriptor's name in /proc it is executed.
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return nil, nil, err
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	return &image{path: "/proc/self/fd/3", file: file}, file, nil
}

// seal ends the writing.
func (im *image) seal(target *os.File) error {
	if im.file == nil {
		return target.Close()
	}
	_, err := unix.FcntlInt(im.file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return err
}
