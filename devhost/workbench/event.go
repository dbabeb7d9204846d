package workbench

import (
	"time"

	"github.com/waxosuit/waxo/devhost"
)

// Kind says what happened.
type Kind string

// What can happen.
const (
	KindNotice       Kind = "notice"       // something worth knowing; Message
	KindListening    Kind = "listening"    // where the guest is reached; Message is the URL
	KindBuilding     Kind = "building"     // a build begins; Paths says why, none at the start
	KindServing      Kind = "serving"      // a build serves; Phases, Took
	KindCompiled     Kind = "compiled"     // compiled code has taken over from the interpreter; Build, Module, Took
	KindFailed       Kind = "failed"       // a build does not serve; Stage, Message, Detail
	KindUnchanged    Kind = "unchanged"    // a build gave the module that serves already
	KindCapabilities Kind = "capabilities" // the manifest asks for others; Added, Removed
	KindRequest      Kind = "request"      // a request was answered; Message, Status, Took
	KindLog          Kind = "log"          // a line of the host or of a provider; Level, Message
	KindStopping     Kind = "stopping"     // the end begins
)

// Event is one thing that happened. The fields that a kind does not name are
// empty.
type Event struct {
	Time    time.Time     `json:"time"`
	Kind    Kind          `json:"event"`
	Build   int           `json:"build,omitempty"`   // the number of the build
	Module  string        `json:"module,omitempty"`  // the first digits of the module's hash
	Serving string        `json:"serving,omitempty"` // the label of the build that answers, with KindFailed
	Stage   string        `json:"stage,omitempty"`   // the phase that failed
	Level   string        `json:"level,omitempty"`
	Message string        `json:"message,omitempty"`
	Detail  string        `json:"detail,omitempty"` // more lines, such as the compiler's own words
	Paths   []string      `json:"paths,omitempty"`
	Added   []string      `json:"added,omitempty"`
	Removed []string      `json:"removed,omitempty"`
	Tier    string        `json:"tier,omitempty"` // with KindServing: "interpreted" or "compiled"
	Phases  []Phase       `json:"phases,omitempty"`
	Status  int           `json:"status,omitempty"`
	Took    time.Duration `json:"took_ns,omitempty"`
}

// Phase is one step of a reload and how long it took.
type Phase = devhost.Phase
