// Package sock reads from and writes to sockets that do not block, at less cost
// than Go's own way: on Linux the scheduler is not told, which would have it watch
// for system calls that take long, and look after them twenty thousand times a
// second where there are many. Those here take as long as it takes to copy 16 KiB.
package sock
