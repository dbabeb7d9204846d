package guestsuite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// Commands are those of the suite's scripts.
func Commands() []script.Command { return slices.Concat(staticCommands(), runCommands()) }

func runCommands() []script.Command {
	return []script.Command{
		{
			Name: "load", Args: "[-spare BYTES]", Run: load,
			Short: "Starts an instance of the guest, with services as at first, in place of the one before.",
			Long: `What was seen is forgotten. With -spare, its memory may grow by that many bytes beyond what it
starts with; else it may have what a host gives.`,
			Example: "load",
		},
		{
			Name: "start", Run: start,
			Short:   "Is load, but for a start that may fail: look at it with saw.",
			Example: "start\n! saw start-crash",
		},
		{
			Name: "call", Args: "OPERATION [FILE]", Run: call,
			Short: "Has the guest handle an operation, and expects a response.",
			Long: `The operation is spelled as the guest's generation does. FILE holds the payload in the JSON
mapping of proto3; without it, nothing is set. The response goes to stdout, as JSON where it is a message.
After "!", the guest must answer with an error, whose text goes to stderr. A guest that traps does neither.`,
			Example: "load\ncall HealthRequest",
		},
		{
			Name: "raw", Args: "[-any] OPERATION [HEX]", Run: raw,
			Short:   "Is call for an operation as it is spelled here, with any bytes for its payload. With -any, any answer will do.",
			Example: "load\n! raw 'nobody:nothing!Nothing'\nstderr Nothing",
		},
		{
			Name: "drive", Args: "[-all] [-only REGEXP] [-as VARIANT [-plain]] [-tail FILE] [-empty] [-size BYTES] [OPERATION...]", Run: drive,
			Short: "Has the guest handle the suite's requests for what it claims, or for some operations; any answer will do.",
			Long: `The requests are those of requests.txtar, and those of --requests; -only chooses among them by
name. Those that crash the guest as they are are left out, unless -all says otherwise. What comes of it is for
saw and transcript. -empty sends an empty payload instead, -size a message with that many bytes in it. -tail
appends each line of a file, bytes in hex up to the first word that is none, to each message. -as writes the
messages in another way, and leaves out those that cannot be; -plain leaves the same out, and writes the others
as they are:

` + variantList(),
			Example: "load\ndrive\n! saw crash",
		},
		{
			Name: "repeat", Args: "N OPERATION", Run: repeat,
			Short: "Has the guest handle the suite's first request for an operation N times, or as often as 5 s allow.",
			Long: `It ends with a call that traps or hangs. The services answer as if each host call were the first.
HealthRequest stands for the request that any guest handles.`,
			Example: "load\nrepeat 1000 HealthRequest\n! saw worn",
		},
		{
			Name: "answer", Args: "live | fixed | OPERATION|* error TEXT | OPERATION|* bytes HEX", Run: answerCommand,
			Short: "Says how host calls are answered.",
			Long: `"live", as at first, lets the services work: a store keeps what is stored. "fixed" answers each
call as if it were the first. The others are for one operation, or for all that are not said, and stay until
live or fixed is said.`,
			Example: "answer * error 'unavailable: the service is away'\nload\ndrive\n! saw crash",
		},
		{
			Name: "saw", Args: "KIND", Run: saw,
			Short: "Expects that something was seen since load, start or forget; mostly it is not to be.",
			Long: `Where there was nothing that it could have been seen in, such as no host call, the check is skipped.
The guest ...

` + kindList(),
			Example: "load\ndrive\n! saw crash",
		},
		{
			Name: "given", Args: "KIND", Run: given,
			Short:   "Skips the check unless something was seen, or after ! if it was.",
			Example: "load\ndrive DeliverMessage\ngiven answer",
		},
		{
			Name: "forget", Run: func(ts *testscript.TestScript, _ bool, _ []string) { sessionOf(ts).forget() },
			Short:   "Starts anew what saw and transcript speak of; the instance stays.",
			Example: "load\ndrive\nforget\ndrive\n! saw crash",
		},
		{
			Name: "transcript", Args: "FILE", Run: transcript,
			Short:   "Writes what was seen to a file: the requests by name, their host calls, and how they ended.",
			Example: "load\ndrive\ntranscript once\nload\ndrive\ntranscript again\ncmp once again",
		},
		{
			Name: "memory", Args: "keep | steady", Run: memory,
			Short: "Keeps the size of the instance's memory in mind, or expects that it has not grown each time that it was kept.",
			Long: `The memory of a runtime that collects its garbage grows by large steps now and then; that of a guest
which loses some memory with each call grows on and on.`,
			Example: "load\nrepeat 100 HealthRequest\nmemory keep\nrepeat 100 HealthRequest\nmemory keep\nmemory steady",
		},
	}
}

func variantList() string {
	var b strings.Builder
	for _, v := range variants {
		fmt.Fprintf(&b, "- `%s`: %s\n", v.name, v.what)
	}
	return b.String()
}

func kindList() string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "- `%s`: ... %s\n", k.name, k.what)
	}
	return b.String()
}

// usage ends a script whose line the command does not understand.
func usage(ts *testscript.TestScript, name string) {
	all := Commands()
	all[slices.IndexFunc(all, func(c script.Command) bool { return c.Name == name })].Usage(ts)
}
