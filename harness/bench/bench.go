// Package bench measures whole processes: how long a waxo takes from exec to
// its first answer and from an edit to serving it, what a request costs it in
// CPU time, and what it takes in memory. Each figure stands beside that of a
// native server (package native) which does the same in the same run, so that
// the ratio holds on other machines, too.
//
// The benchmarks start processes, listen on 127.0.0.1 only, and read the CPU
// time and the memory of a process from /proc: they run on Linux alone.
package bench
