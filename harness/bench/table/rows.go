package main

// row is a line of the table.
type row struct {
	what      string
	benchmark string
	value     string // metric of waxo
	unit      string
	limit     string // metric of what stands beside it
	against   string // what that is
	ratio     string // metric
	goal      string // what the ratio, or the value where there is none, may reach
}

var rows = []row{
	{"a call of a guest, 64 B", "BenchmarkCall/echo/64", "ns/call", "ns", "", "the engine without a deadline", "x-bare", "1.3"},
	{"the same with a host call", "BenchmarkCall/host/64", "ns/call", "ns", "", "the engine without a deadline", "x-bare", "1.4"},
	{"a call of a Go guest, 64 B", "BenchmarkCall/go/64", "ns/call", "ns", "", "the engine without a deadline", "x-bare", ""},
	{"the same call of 64 B elsewhere, with deadlines", "BenchmarkPeers", "", "", "", "wasmtime-go", "x-wasmtime", ""},
	{"the same call of 64 B elsewhere, with deadlines", "BenchmarkPeers", "", "", "", "Extism", "x-extism", ""},
	{"a Go guest that handles JSON, with deadlines", "BenchmarkGuestJSON", "", "", "", "without", "x-metered", "1.15"},
	{"the same with the engine's own deadlines", "BenchmarkGuestJSON", "", "", "", "without", "x-closing", ""},
	{"a tight loop, with deadlines", "BenchmarkLoop/loop", "", "", "", "without", "x-metered", "2"},
	{"a loop that is a br_table, with deadlines", "BenchmarkLoop/table", "", "", "", "without", "x-metered", "2"},
	{"a warm start's compilation, Go guest", "BenchmarkCompile/warm", "ms", "ms", "", "the engine with its cache", "x-bare", ""},
	{"HTTP echo of 1 KiB, Go guest, 64 connections: CPU time a request", "BenchmarkEcho", "us-CPU/req", "µs", "native-us-CPU/req", "net/http", "x-native", "1.15"},
	{"key-value GET over HTTP, Go guest: CPU time a request", "BenchmarkKeyValueGet", "us-CPU/req", "µs", "native-us-CPU/req", "net/http with the same client", "x-native", "1.2"},
	{"a call of a provider plugin, 64 B", "BenchmarkPluginEcho/64", "us/call", "µs", "socket-us/call", "a bare socket and back", "x-socket", ""},
	{"key-value GET, provider as a plugin, 16 callers", "BenchmarkPluginKeyValue/callers=16", "us/call", "µs", "built-in-us/call", "the same provider built in", "x-built-in", ""},
	{"the size of a blob, from the embedded S3", "BenchmarkBlobInfo", "us-provider", "µs", "us-bare", "the bare client", "x-bare", ""},
	{"a blob of 32 MiB in, in chunks of 256 KiB", "BenchmarkBlobUpload", "us-provider", "µs", "us-bare", "the bare client, in parts", "x-bare", ""},
	{"the same out", "BenchmarkBlobDownload", "us-provider", "µs", "us-bare", "the bare client, in one piece", "x-bare", ""},
	{"key-value Get of a guest, 16 callers", "BenchmarkGuestCalls/Get", "us/call", "µs", "bare-us/call", "go-redis", "x-bare", ""},
	{"a message that a guest publishes", "BenchmarkGuestCalls/Publish", "us/call", "µs", "bare-us/call", "nats.go", "x-bare", ""},
	{"a request of a guest by message, and its answer", "BenchmarkGuestCalls/Request", "us/call", "µs", "bare-us/call", "nats.go", "x-bare", ""},
	{"an event that a guest writes", "BenchmarkGuestCalls/Write", "us/call", "µs", "bare-us/call", "nats.go", "x-bare", ""},
	{"the size of a blob, for a guest", "BenchmarkGuestCalls/Info", "us/call", "µs", "bare-us/call", "the AWS SDK", "x-bare", ""},
	{"a blob of 4 MiB of a guest, in chunks of 256 KiB", "BenchmarkGuestCalls/Upload", "us/call", "µs", "bare-us/call", "the AWS SDK, in one piece", "x-bare", ""},
	{"an HTTP request of a guest, 1 KiB", "BenchmarkGuestCalls/Fetch", "us/call", "µs", "bare-us/call", "net/http", "x-bare", ""},
	{"exec to first answer, Go guest, warm cache", "BenchmarkColdStart/go-warm", "ms-to-200", "ms", "native-ms-to-200", "net/http", "x-native", "9"},
	{"exec to first answer, small guest, warm cache", "BenchmarkColdStart/small-warm", "ms-to-200", "ms", "native-ms-to-200", "net/http", "x-native", "2"},
	{"exec to first answer, Go guest, warm cache, waxo-host", "BenchmarkColdStart/go-warm-host", "ms-to-200", "ms", "native-ms-to-200", "net/http", "x-native", "9"},
	{"exec to first answer, small guest, warm cache, waxo-host", "BenchmarkColdStart/small-warm-host", "ms-to-200", "ms", "native-ms-to-200", "net/http", "x-native", "2"},
	{"exec to first answer, Go guest, empty cache", "BenchmarkColdStart/go-cold", "ms-to-200", "ms", "native-ms-to-200", "net/http", "x-native", ""},
	{"p99 of 16 clients while four calls loop without end", "BenchmarkNeighbours/spin", "p99-ms", "ms", "alone-p99-ms", "without them", "x-alone", "3"},
	{"p99 of 16 clients while four calls recurse without end", "BenchmarkNeighbours/recurse", "p99-ms", "ms", "alone-p99-ms", "without them", "x-alone", "3"},
	{"four guests that loop: end after their deadline", "BenchmarkDeadline", "ms-late", "ms", "", "", "", "50 ms"},
	{"a garbage collection of the host while four guests loop", "BenchmarkCollection", "p99-ms", "ms", "", "", "", "20 ms"},
	{"memory of the process under 64 calls that wait for a slow store", "BenchmarkSlowCalls", "MB-most", "MB", "", "", "", "250 MB"},
	{"edit to served, after the toolchain's end", "BenchmarkReload", "ms-after-toolchain", "ms", "", "", "", "150 ms"},
	{"edit to served by compiled code", "BenchmarkReload", "ms-to-compiled", "ms", "", "", "", "2,000 ms"},
}
