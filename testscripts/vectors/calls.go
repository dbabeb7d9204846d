package vectors

// Results of calls/modules.json.
const (
	Accepted = "accepted"
	Refused  = "refused"
)

// Module is a vector of calls/modules.json: what a host makes of a module, before
// any of it runs. None carries claims.
type Module struct {
	Vector
	Module string   `json:"module"` // hex
	Result string   `json:"result"`
	Names  []string `json:"names,omitempty"` // what the refusal should name: imports as "module.name", exports by their names
}

// Sequence is a vector of calls/calls.json: a conversation of a host and a guest.
type Sequence struct {
	Vector
	Form   int     `json:"form"` // the number of parameters of the guest's __host_call: 8, 6 or 4
	Start  []Start `json:"start,omitempty"`
	Calls  []Call  `json:"calls"`
	Module string  `json:"module"` // a guest that performs the steps and checks them, hex
}

// Start is what the guest does when it starts.
type Start struct {
	Function string `json:"function"` // an export, or "start" for the module's own start function
	Steps    []Step `json:"steps"`
}

// Call is one operation that the host has the guest handle.
type Call struct {
	Operation string    `json:"operation"`
	Payload   string    `json:"payload"` // hex
	Steps     []Step    `json:"steps"`
	Returns   int       `json:"returns"`       // what __guest_call returns after the steps
	Log       []string  `json:"log,omitempty"` // the lines that the host takes down
	Outcome   []Outcome `json:"outcome"`       // what the call comes to: one of these
}

// Outcome is what a host's caller sees. Exactly one field is set.
type Outcome struct {
	Response  *string `json:"response,omitempty"`  // this, hex
	Error     *string `json:"error,omitempty"`     // an error of the guest, with this text
	Failed    bool    `json:"failed,omitempty"`    // an error of the guest, without a text of its own
	Broken    bool    `json:"broken,omitempty"`    // the call failed; that instance serves no more
	Unstarted bool    `json:"unstarted,omitempty"` // the instance could not be started
}

// Step is one thing that the guest does. Exactly one field is set.
type Step struct {
	Request   bool    `json:"request,omitempty"`   // calls __guest_request, and finds the call's operation and payload
	Response  *string `json:"response,omitempty"`  // calls __guest_response, hex
	Error     *string `json:"error,omitempty"`     // calls __guest_error
	Log       *string `json:"log,omitempty"`       // calls __console_log
	Overwrite bool    `json:"overwrite,omitempty"` // writes over what the step before has handed over
	Trap      bool    `json:"trap,omitempty"`      // executes unreachable

	HostCall        *HostCall `json:"host_call,omitempty"`         // calls __host_call
	HostResponseLen *int      `json:"host_response_len,omitempty"` // calls it, and gets this
	HostResponse    *string   `json:"host_response,omitempty"`     // calls it, and gets this and nothing beyond, hex
	HostErrorLen    *int      `json:"host_error_len,omitempty"`    // calls it, and gets this
	HostError       *string   `json:"host_error,omitempty"`        // calls it, and gets this and nothing beyond

	Raw *Raw `json:"raw,omitempty"` // calls a function with arguments that an SDK would not give

	Note  *string `json:"note,omitempty"`  // appends this to its notes, in its memory
	Notes *string `json:"notes,omitempty"` // finds this in its notes
}

// HostCall is a host call and what becomes of it.
type HostCall struct {
	Binding   *string `json:"binding,omitempty"`   // in the form of 8
	Namespace *string `json:"namespace,omitempty"` // in the forms of 8 and 6
	Operation string  `json:"operation"`
	Payload   string  `json:"payload"` // hex
	Served
	Returns int `json:"returns"`
}

// Served is what becomes of a host call on the host's side.
type Served struct {
	Sees    *Seen   `json:"sees,omitempty"`    // what whoever serves host calls is given; absent: nobody is
	Answers *string `json:"answers,omitempty"` // what that one answers, hex
	Fails   *string `json:"fails,omitempty"`   // or the text of the error with which it fails
}

// Seen is a host call as it is served.
type Seen struct {
	Binding   string `json:"binding"`
	Namespace string `json:"namespace"` // in the form of 4: what stands before the first "!"
	Operation string `json:"operation"` // in the form of 4: what stands after it
	Payload   string `json:"payload"`   // hex
}

// Raw is a call of a host function. An argument is a number, "data" for where Data
// lies, or "end" for the end of the memory, which may be followed by -N.
type Raw struct {
	Function string   `json:"function"`
	Args     []string `json:"args"`
	Data     string   `json:"data,omitempty"` // hex
	Served            // where it is a host call that is served
	Returns  *int     `json:"returns,omitempty"`
}
