package seal

import "github.com/waxosuit/waxo/wapc/wasm"

// The error numbers of preview 1 that a sealed guest gets to see.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoInval   = 28
	errnoNosys   = 52
	errnoNotsock = 57
	errnoSpipe   = 70
)

// function is what stands in for a function of preview 1.
type function struct {
	sig   string // see signature
	logs  bool   // it calls __console_log
	build build
}

// preview1 holds all of wasi_snapshot_preview1.
var preview1 = map[string]function{
	"args_get":            {sig: "ii:i", build: answer(errnoSuccess)},
	"args_sizes_get":      {sig: "ii:i", build: emptyList},
	"environ_get":         {sig: "ii:i", build: answer(errnoSuccess)},
	"environ_sizes_get":   {sig: "ii:i", build: emptyList},
	"clock_res_get":       {sig: "ii:i", build: clockResGet},
	"clock_time_get":      {sig: "iIi:i", build: clockTimeGet},
	"poll_oneoff":         {sig: "iiii:i", build: pollOneoff},
	"proc_exit":           {sig: "i:", logs: true, build: procExit},
	"proc_raise":          {sig: "i:i", build: answer(errnoNosys)},
	"random_get":          {sig: "ii:i", build: randomGet},
	"sched_yield":         {sig: ":i", build: answer(errnoSuccess)},
	"fd_write":            {sig: "iiii:i", logs: true, build: fdWrite},
	"fd_read":             {sig: "iiii:i", build: fdRead},
	"fd_fdstat_get":       {sig: "ii:i", build: fdFdstatGet},
	"fd_filestat_get":     {sig: "ii:i", build: fdFilestatGet},
	"fd_prestat_get":      {sig: "ii:i", build: answer(errnoBadf)},
	"fd_prestat_dir_name": {sig: "iii:i", build: answer(errnoBadf)},

	// On the standard streams these say what they say of a terminal.
	"fd_close":              {sig: "i:i", build: onStream(errnoSuccess)},
	"fd_datasync":           {sig: "i:i", build: onStream(errnoSuccess)},
	"fd_sync":               {sig: "i:i", build: onStream(errnoSuccess)},
	"fd_pread":              {sig: "iiiIi:i", build: onStream(errnoSpipe)},
	"fd_pwrite":             {sig: "iiiIi:i", build: onStream(errnoSpipe)},
	"fd_seek":               {sig: "iIii:i", build: onStream(errnoSpipe)},
	"fd_tell":               {sig: "ii:i", build: onStream(errnoSpipe)},
	"fd_advise":             {sig: "iIIi:i", build: onStream(errnoNosys)},
	"fd_allocate":           {sig: "iII:i", build: onStream(errnoNosys)},
	"fd_fdstat_set_flags":   {sig: "ii:i", build: onStream(errnoNosys)},
	"fd_fdstat_set_rights":  {sig: "iII:i", build: onStream(errnoNosys)},
	"fd_filestat_set_size":  {sig: "iI:i", build: onStream(errnoNosys)},
	"fd_filestat_set_times": {sig: "iIIi:i", build: onStream(errnoNosys)},
	"fd_readdir":            {sig: "iiiIi:i", build: onStream(errnoNosys)},
	"fd_renumber":           {sig: "ii:i", build: onStream(errnoNosys)},
	"sock_accept":           {sig: "iii:i", build: onStream(errnoNotsock)},
	"sock_recv":             {sig: "iiiiii:i", build: onStream(errnoNotsock)},
	"sock_send":             {sig: "iiiii:i", build: onStream(errnoNotsock)},
	"sock_shutdown":         {sig: "ii:i", build: onStream(errnoNotsock)},

	// No descriptor is a directory.
	"path_create_directory":   {sig: "iii:i", build: answer(errnoBadf)},
	"path_filestat_get":       {sig: "iiiii:i", build: answer(errnoBadf)},
	"path_filestat_set_times": {sig: "iiiiIIi:i", build: answer(errnoBadf)},
	"path_link":               {sig: "iiiiiii:i", build: answer(errnoBadf)},
	"path_open":               {sig: "iiiiiIIii:i", build: answer(errnoBadf)},
	"path_readlink":           {sig: "iiiiii:i", build: answer(errnoBadf)},
	"path_remove_directory":   {sig: "iii:i", build: answer(errnoBadf)},
	"path_rename":             {sig: "iiiiii:i", build: answer(errnoBadf)},
	"path_symlink":            {sig: "iiiii:i", build: answer(errnoBadf)},
	"path_unlink_file":        {sig: "iii:i", build: answer(errnoBadf)},
}

// answer always gives the same error number.
func answer(errno int32) build {
	return func(_ *linker, c *wasm.Code) { c.I32(errno) }
}

// onStream gives an error number for the standard streams, and EBADF for all
// other descriptors.
func onStream(errno int32) build {
	return func(_ *linker, c *wasm.Code) {
		c.I32(errno).I32(errnoBadf)
		isStream(c, 0).Op(wasm.OpSelect)
	}
}

// isStream tells whether the descriptor in a local variable is one of the
// three that there are.
func isStream(c *wasm.Code, fd uint32) *wasm.Code {
	return c.Get(fd).I32(3).Op(wasm.OpI32LtU)
}

// returnUnless leaves with an error number unless the condition on the stack
// holds.
func returnUnless(c *wasm.Code, errno int32) {
	c.Op(wasm.OpI32Eqz).If(func() { c.I32(errno).Op(wasm.OpReturn) })
}

// emptyList says that there are no strings, of no length.
func emptyList(_ *linker, c *wasm.Code) {
	const count, size = 0, 1
	c.Get(count).I32(0).Mem(wasm.OpI32Store, 0)
	c.Get(size).I32(0).Mem(wasm.OpI32Store, 0)
	c.I32(errnoSuccess)
}

// fdRead finds standard input at its end.
func fdRead(_ *linker, c *wasm.Code) {
	const fd, nread = 0, 3
	c.Get(fd).Op(wasm.OpI32Eqz)
	returnUnless(c, errnoBadf)
	c.Get(nread).I32(0).Mem(wasm.OpI32Store, 0)
	c.I32(errnoSuccess)
}

const filetypeCharacterDevice = 2

// fdFdstatGet fills struct fdstat: filetype, flags at 2, rights at 8,
// inherited rights at 16. Without the rights to seek and tell, wasi-libc takes
// a character device for a terminal.
func fdFdstatGet(_ *linker, c *wasm.Code) {
	const fd, out = 0, 1
	const rightRead, rightWrite = 1 << 1, 1 << 6
	isStream(c, fd)
	returnUnless(c, errnoBadf)
	c.Get(out).I64(filetypeCharacterDevice).Mem(wasm.OpI64Store, 0)
	c.Get(out).I64(rightWrite).I64(rightRead).Get(fd).Op(wasm.OpSelect).Mem(wasm.OpI64Store, 8)
	c.Get(out).I64(0).Mem(wasm.OpI64Store, 16)
	c.I32(errnoSuccess)
}

// fdFilestatGet fills struct filestat: of its 64 bytes the file type at 16 is
// the one that is not 0.
func fdFilestatGet(_ *linker, c *wasm.Code) {
	const fd, out = 0, 1
	const size, typeAt = 64, 16
	isStream(c, fd)
	returnUnless(c, errnoBadf)
	for at := uint32(0); at < size; at += 8 {
		var v int64
		if at == typeAt {
			v = filetypeCharacterDevice
		}
		c.Get(out).I64(v).Mem(wasm.OpI64Store, at)
	}
	c.I32(errnoSuccess)
}

// randomGet is splitmix64: its state grows by the golden ratio, and what is
// given out is a mixture of its bits.
func randomGet(l *linker, c *wasm.Code) {
	const buf, n = 0, 1
	const golden, mix1, mix2 uint64 = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb
	constant := func(v uint64) { c.I64(int64(v)) }
	state := l.global("random", wasm.I64, int64(l.opts.Seed), 1)
	z := c.Local(wasm.I64)
	shiftXor := func(bits int64) {
		c.Get(z).Get(z).I64(bits).Op(wasm.OpI64ShrU, wasm.OpI64Xor)
	}
	advance := func(by int32) {
		c.Get(buf).I32(by).Op(wasm.OpI32Add).Set(buf)
		c.Get(n).I32(by).Op(wasm.OpI32Sub).Set(n)
	}
	c.Block(func() {
		c.Loop(func() {
			c.Get(n).Op(wasm.OpI32Eqz).BrIf(1)
			c.GetGlobal(state)
			constant(golden)
			c.Op(wasm.OpI64Add).SetGlobal(state).GetGlobal(state).Set(z)
			shiftXor(30)
			constant(mix1)
			c.Op(wasm.OpI64Mul).Set(z)
			shiftXor(27)
			constant(mix2)
			c.Op(wasm.OpI64Mul).Set(z)
			shiftXor(31)
			c.Set(z)
			c.Get(n).I32(8).Op(wasm.OpI32LtU).BrIf(1)
			c.Get(buf).Get(z).Mem(wasm.OpI64Store, 0)
			advance(8)
			c.Br(0)
		})
	})
	// The last one to seven bytes; z has one more for each turn.
	c.Block(func() {
		c.Loop(func() {
			c.Get(n).Op(wasm.OpI32Eqz).BrIf(1)
			c.Get(buf).Get(z).Op(wasm.OpI32WrapI64).Mem(wasm.OpI32Store8, 0)
			c.Get(z).I64(8).Op(wasm.OpI64ShrU).Set(z)
			advance(1)
			c.Br(0)
		})
	})
	c.I32(errnoSuccess)
}
