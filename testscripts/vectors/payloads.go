package vectors

import "encoding/json"

// Message is a vector of payloads/messages.json: a message in both its forms.
type Message struct {
	Vector
	Message string          `json:"message"` // such as keyvalue.GetRequest
	JSON    json.RawMessage `json:"json"`    // in the JSON mapping of proto3, with the fields' own names
	Wire    string          `json:"wire"`    // hex
}

// Decode is a vector of payloads/decode.json: bytes, and what they mean. They are
// not what an encoder writes.
type Decode struct {
	Vector
	Message string          `json:"message"`
	Wire    string          `json:"wire"`           // hex
	Result  string          `json:"result"`         // ok, or why it is refused
	JSON    json.RawMessage `json:"json,omitempty"` // where the result is ok
}

// Why a payload is refused.
const (
	Truncated   = "truncated"    // it ends in the middle of a field
	Overflow    = "overflow"     // a varint has more than 64 bits
	FieldNumber = "field-number" // a field has a number that there is not
	WireType    = "wire-type"    // a field has a wire type that there is not
	Group       = "group"        // a group ends that did not begin, or as another one
	Depth       = "depth"        // groups are nested too deep
	UTF8        = "utf-8"        // a string is not UTF-8
)

// DecodeResults are all results of payloads/decode.json.
var DecodeResults = []string{ResultOK, Truncated, Overflow, FieldNumber, WireType, Group, Depth, UTF8}

// Spell is a vector of capabilities/spell.json: how a guest with these claims
// spells an operation that it handles.
type Spell struct {
	Vector
	Claims     []string `json:"claims"`
	Capability string   `json:"capability"` // "core" for the operations that need no claim
	Operation  string   `json:"operation"`
	Spelling   string   `json:"spelling"`
}

// Resolve is a vector of capabilities/resolve.json: which operation a host call
// means.
type Resolve struct {
	Vector
	Namespace  string `json:"namespace"` // empty also where the form of the call has none
	Called     string `json:"called"`    // the operation as the guest spelled it
	Result     string `json:"result"`    // ok or invalid
	Capability string `json:"capability,omitempty"`
	Operation  string `json:"operation,omitempty"`
}
