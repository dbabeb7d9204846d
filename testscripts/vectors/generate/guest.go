package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// Where a guest of the vectors keeps its notes: their length, and their text.
const (
	notesLen  = 16
	notesText = 32
)

const pages = 2

type hostFunction struct {
	name            string
	params, results int
}

// hostFunctions are those of the protocol, with the number of their parameters
// and results. __host_call has the form's number.
var hostFunctions = []hostFunction{
	{"__guest_request", 2, 0}, {"__guest_response", 2, 0}, {"__guest_error", 2, 0}, {"__host_call", 0, 1},
	{"__host_response_len", 0, 1}, {"__host_response", 1, 0}, {"__host_error_len", 0, 1}, {"__host_error", 1, 0},
	{"__console_log", 2, 0},
}

// compiler makes a guest that performs a sequence's steps. Where it finds
// something else than a step says, it answers with an error that says which step;
// while it starts, it traps.
type compiler struct {
	guest
	form    int
	index   map[string]int // of imported functions
	differs int            // a function that compares two places

	code     strings.Builder
	starting bool
	where    string   // the call and the step, for errors
	handed   [][2]int // what the step before has handed over: places and lengths
	err      error
}

// assemble returns the sequence's guest.
func assemble(s *vectors.Sequence) ([]byte, error) {
	c := &compiler{form: s.Form, index: map[string]int{}}
	used := usedFunctions(s)
	for _, f := range hostFunctions {
		if f.name == "__host_call" {
			f.params = s.Form
		}
		if used[f.name] {
			c.index[f.name] = c.importFunc("wapc", f.name, funcType(f.params, f.results))
		}
	}
	c.pages = pages
	c.export("memory", kindMemory, 0)
	c.differs = c.define(funcType(3, 1), "", opBlock+opLoop+
		opGet(2)+opEqz+opBrIf(1)+
		opGet(0)+opLoad8+opGet(1)+opLoad8+opNe+opIf+opConst(1)+opReturn+opEnd+
		opGet(0)+opConst(1)+opAdd+opSet(0)+opGet(1)+opConst(1)+opAdd+opSet(1)+opGet(2)+opConst(1)+opSub+opSet(2)+
		opBr(0)+opEnd+opEnd+opConst(0))
	c.starting = true
	for _, start := range s.Start {
		c.steps(start.Function, nil, start.Steps)
		f := c.define(funcType(0, 0), "", c.flush())
		if start.Function == "start" {
			c.start = f
		} else {
			c.export(start.Function, kindFunc, f)
		}
	}
	c.starting = false
	c.export("__guest_call", kindFunc, c.define(funcType(2, 1), "", c.calls(s.Calls)))
	if c.top > pages<<16 {
		c.fail("the guest needs more memory")
	}
	return c.encode(), c.err
}

func (c *compiler) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *compiler) flush() string {
	code := c.code.String()
	c.code.Reset()
	return code
}

func (c *compiler) emit(code ...string) {
	for _, part := range code {
		c.code.WriteString(part)
	}
}

// usedFunctions are those that the steps call, and the one that tells of steps that
// failed.
func usedFunctions(s *vectors.Sequence) map[string]bool {
	used := map[string]bool{"__guest_error": true}
	var steps []vectors.Step
	for _, start := range s.Start {
		steps = append(steps, start.Steps...)
	}
	for _, call := range s.Calls {
		steps = append(steps, call.Steps...)
	}
	for _, s := range steps {
		if s.Raw != nil {
			used[s.Raw.Function] = true
		}
		for function, is := range map[string]bool{
			"__guest_request": s.Request, "__guest_response": s.Response != nil, "__host_call": s.HostCall != nil,
			"__host_response_len": s.HostResponseLen != nil, "__host_response": s.HostResponse != nil,
			"__host_error_len": s.HostErrorLen != nil, "__host_error": s.HostError != nil, "__console_log": s.Log != nil,
		} {
			used[function] = used[function] || is
		}
	}
	return used
}

// calls is the code of __guest_call. It tells the calls of a sequence apart by the
// lengths of their operations.
func (c *compiler) calls(calls []vectors.Call) string {
	lengths := map[int]bool{}
	for i := range calls {
		call := &calls[i]
		if n := len(call.Operation); lengths[n] {
			c.fail("two calls have operations of %d bytes", n)
		} else {
			lengths[n] = true
		}
		c.where = call.Operation
		c.emit(opGet(0), opConst(len(call.Operation)), opEq, opIf)
		c.emit(opGet(1), opConst(len(call.Payload)/2), opNe)
		c.check("message_len is another one")
		c.steps("the call "+call.Operation, call, call.Steps)
		c.emit(opConst(call.Returns), opReturn, opEnd)
	}
	c.where = "the guest"
	c.report("operation_len is that of no call")
	c.emit(opUnreachable)
	return c.flush()
}

// check reports a mismatch if what is on the stack is not 0.
func (c *compiler) check(what string) {
	c.emit(opIf)
	c.report(what)
	c.emit(opEnd)
}

// report ends the call with an error, or the start with a trap.
func (c *compiler) report(what string) {
	if c.starting {
		c.emit(opUnreachable)
		return
	}
	text := "vector: " + c.where + ": " + what
	c.emit(opConst(c.place(text)), opConst(len(text)), opCall(c.index["__guest_error"]), opConst(0), opReturn)
}

func (c *compiler) steps(what string, call *vectors.Call, steps []vectors.Step) {
	c.handed = nil
	for i, s := range steps {
		c.where = fmt.Sprintf("%s, step %d", what, i+1)
		before := c.code.Len()
		c.step(call, s)
		if c.code.Len() == before {
			c.fail("%s has nothing to do", c.where)
		}
	}
}

func (c *compiler) step(call *vectors.Call, s vectors.Step) {
	switch {
	case s.Request:
		c.request(call)
	case s.Response != nil:
		c.handOver("__guest_response", c.unhex(*s.Response))
	case s.Error != nil:
		c.handOver("__guest_error", *s.Error)
	case s.Log != nil:
		c.handOver("__console_log", *s.Log)
	case s.Overwrite:
		for _, h := range c.handed {
			for i := range h[1] {
				c.emit(opConst(h[0]+i), opConst(0xff), opStore8)
			}
		}
	case s.Trap:
		c.emit(opUnreachable)
	case s.HostCall != nil:
		c.hostCall(s.HostCall)
	case s.Raw != nil:
		c.raw(s.Raw)
	case s.Note != nil:
		for i := range len(*s.Note) {
			c.emit(opConst(notesLen), opLoad, opConst(notesText+i), opAdd, opConst(int((*s.Note)[i])), opStore8)
		}
		c.emit(opConst(notesLen), opConst(notesLen), opLoad, opConst(len(*s.Note)), opAdd, opStore)
	case s.Notes != nil:
		c.emit(opConst(notesLen), opLoad, opConst(len(*s.Notes)), opNe)
		c.check("there are more notes, or fewer")
		c.same(notesText, *s.Notes, "there are other notes")
	default:
		c.expect(s)
	}
}

// expect asks the host for what became of a host call.
func (c *compiler) expect(s vectors.Step) {
	length := func(function string, want int) {
		c.emit(opCall(c.index[function]), opConst(want), opNe)
		c.check(function + " answers another length")
	}
	read := func(function, want string) {
		at := c.room(len(want) + 4)
		c.emit(opConst(at), opCall(c.index[function]))
		c.same(at, want+"\x00\x00\x00\x00", function+" writes something else")
	}
	switch {
	case s.HostResponseLen != nil:
		length("__host_response_len", *s.HostResponseLen)
	case s.HostErrorLen != nil:
		length("__host_error_len", *s.HostErrorLen)
	case s.HostResponse != nil:
		read("__host_response", c.unhex(*s.HostResponse))
	case s.HostError != nil:
		read("__host_error", *s.HostError)
	}
}

// request has the operation and the payload written, and looks at what follows
// them, too.
func (c *compiler) request(call *vectors.Call) {
	payload := c.unhex(call.Payload)
	operationAt, payloadAt := c.room(len(call.Operation)+4), c.room(len(payload)+4)
	c.emit(opConst(operationAt), opConst(payloadAt), opCall(c.index["__guest_request"]))
	c.same(operationAt, call.Operation+"\x00\x00\x00\x00", "another operation was written")
	c.same(payloadAt, payload+"\x00\x00\x00\x00", "another payload was written")
}

func (c *compiler) same(at int, want, what string) {
	c.emit(opConst(at), opConst(c.place(want)), opConst(len(want)), opCall(c.differs))
	c.check(what)
}

func (c *compiler) handOver(function, content string) {
	at := c.place(content)
	c.handed = [][2]int{{at, len(content)}}
	c.emit(opConst(at), opConst(len(content)), opCall(c.index[function]))
}

func (c *compiler) hostCall(h *vectors.HostCall) {
	parts := []string{h.Operation, c.unhex(h.Payload)}
	if h.Namespace != nil {
		parts = slices.Insert(parts, 0, *h.Namespace)
	}
	if h.Binding != nil {
		parts = slices.Insert(parts, 0, *h.Binding)
	}
	if 2*len(parts) != c.form {
		c.fail("%s has %d parts in the form of %d", c.where, len(parts), c.form)
	}
	c.handed = nil
	for _, part := range parts {
		at := c.place(part)
		c.handed = append(c.handed, [2]int{at, len(part)})
		c.emit(opConst(at), opConst(len(part)))
	}
	c.emit(opCall(c.index["__host_call"]), opConst(h.Returns), opNe)
	c.check("__host_call returns something else")
}

func (c *compiler) raw(r *vectors.Raw) {
	data := c.unhex(r.Data)
	at := c.place(data)
	for _, arg := range r.Args {
		base, minus, _ := strings.Cut(arg, "-")
		n := 0
		if minus != "" {
			n, _ = strconv.Atoi(minus)
		}
		switch base {
		case "data":
			c.emit(opConst(at))
		case "end":
			c.emit(opConst(pages<<16 - n))
		default:
			number, err := strconv.ParseUint(arg, 10, 32)
			if err != nil {
				c.fail("%s: %q is no argument", c.where, arg)
			}
			c.emit(opConst(int(int32(uint32(number)))))
		}
	}
	c.emit(opCall(c.index[r.Function]))
	i := slices.IndexFunc(hostFunctions, func(f hostFunction) bool { return f.name == r.Function })
	switch {
	case r.Returns != nil:
		c.emit(opConst(*r.Returns), opNe)
		c.check(r.Function + " returns something else")
	case hostFunctions[i].results > 0:
		c.emit(opDrop)
	}
}

func (c *compiler) unhex(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil {
		c.fail("%s: %v", c.where, err)
	}
	return string(b)
}
