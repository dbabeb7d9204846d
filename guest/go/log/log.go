// Package log writes log entries of a guest, through the capability
// "wascap:logging", and lines to the host's console, which needs none.
//
// A log never fails the call that writes it: an entry that the host does not
// take goes to the console with the reason.
package log

import (
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/internal/loggingpb"

	waxo "github.com/waxosuit/waxo/guest/go"
)

// Capability is the name under which a manifest asks for the log.
const Capability = "wascap:logging"

// Error writes an entry of level error: something failed.
func Error(text string) { write(1, "error", text) }

// Warn writes an entry of level warn: something will fail if nobody looks.
func Warn(text string) { write(2, "warn", text) }

// Info writes an entry of level info: something happened that an operator wants to know.
func Info(text string) { write(3, "info", text) }

// Debug writes an entry of level debug, for those who work on the guest.
func Debug(text string) { write(4, "debug", text) }

// Trace writes an entry of level trace, finer still.
func Trace(text string) { write(5, "trace", text) }

// Console writes a line to the host's console. Every guest may; so may fmt.Println
// and print, whose output ends there too.
func Console(line string) { abi.Console(line) }

func write(level uint32, name, text string) {
	x := abi.Begin()
	defer x.End()
	entry := loggingpb.WriteLogRequest{Level: level, Body: text}
	x.Request = entry.AppendProto(x.Request)
	if _, failure, ok := x.Call(waxo.DefaultBinding, Capability, "wascap:logging!WriteLog"); !ok {
		abi.Console(name + ": " + text + " (not logged: " + failure + ")")
	}
}
