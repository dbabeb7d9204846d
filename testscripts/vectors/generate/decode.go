package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// decodeCase is bytes, what they are decoded as, and what comes of it: JSON, or a
// reason.
type decodeCase struct{ name, rules, message, wire, want string }

const (
	request  = "http.Request"
	response = "http.Response"
	getReply = "keyvalue.GetResponse"
	add      = "keyvalue.AddRequest"
	result   = "extras.GeneratorResult"
)

func decodeVectors() []vectors.Decode {
	var list []vectors.Decode
	for _, c := range append(oddPayloads(), brokenPayloads()...) {
		v := vectors.Decode{Vector: vector(c.name, c.rules), Message: c.message, Wire: hex.EncodeToString([]byte(c.wire)), Result: c.want}
		if strings.HasPrefix(c.want, "{") {
			var compact bytes.Buffer
			if err := json.Compact(&compact, []byte(c.want)); err != nil {
				panic(err) // a mistake in the table
			}
			v.Result, v.JSON = ok, compact.Bytes()
		}
		list = append(list, v)
	}
	return list
}

// text is a field whose number is below 16, and whose length below 128.
func text(number int, content string) string {
	return string([]byte{byte(number<<3 | 2), byte(len(content))}) + content
}

// oddPayloads are good, but not as an encoder writes them.
func oddPayloads() []decodeCase {
	entry := func(parts string) string { return text(4, parts) }
	k, v := text(1, "k"), text(2, "v")
	return []decodeCase{
		{"empty", "PAY-10", request, "", `{}`},
		{"an unknown varint", "PAY-11", getReply, "\x78\x96\x01" + text(1, "v") + "\x10\x01", `{"value":"v","exists":true}`},
		{"an unknown fixed64", "PAY-11", getReply, text(1, "v") + "\x79\x01\x02\x03\x04\x05\x06\x07\x08\x10\x01", `{"value":"v","exists":true}`},
		{"an unknown fixed32", "PAY-11", getReply, text(1, "v") + "\x7d\x01\x02\x03\x04\x10\x01", `{"value":"v","exists":true}`},
		{"unknown bytes, not UTF-8", "PAY-11", getReply, text(15, "\xff\xfe") + text(1, "v"), `{"value":"v"}`},
		{"an unknown field with the largest number", "PAY-11", getReply, "\xf8\xff\xff\xff\x0f\x01" + text(1, "v"), `{"value":"v"}`},
		{"an unknown group", "PAY-11", getReply, "\x7b\x0a\x01x\x08\x05\x7c" + text(1, "v"), `{"value":"v"}`},
		{"unknown groups within each other", "PAY-11", getReply, "\x7b\x0b\x13\x14\x0c\x7c" + text(1, "v"), `{"value":"v"}`},
		{"an unknown field in a map's entry", "PAY-11", request, entry(k + "\x18\x05" + v), `{"header":{"k":"v"}}`},
		{"an unknown field in a message within", "PAY-11", "messaging.DeliverMessage", text(1, "\x78\x01"+text(1, "s")), `{"message":{"subject":"s"}}`},
		{"fields in reverse order", "PAY-12", "keyvalue.SetRequest", "\x18\x3c" + text(2, "v") + text(1, "k"), `{"key":"k","value":"v","expires_s":60}`},
		{"repeated fields with others between", "PAY-12", "eventstream.StreamResults", text(2, text(1, "1")) + "\x78\x01" + text(2, text(1, "2")), `{"events":[{"event_id":"1"},{"event_id":"2"}]}`},
		{"a string twice", "PAY-13", getReply, text(1, "first") + text(1, "last"), `{"value":"last"}`},
		{"a string twice, then empty", "PAY-13", getReply, text(1, "first") + text(1, ""), `{}`},
		{"a number twice", "PAY-13", add, text(1, "n") + "\x10\x05\x10\x07", `{"key":"n","value":7}`},
		{"bytes twice", "PAY-13", response, text(4, "ab") + text(4, "c"), `{"body":"Yw=="}`},
		{"a default that is written", "PAY-3", getReply, text(1, "") + "\x10\x00", `{}`},
		{"a message twice", "PAY-14", "messaging.DeliverMessage", text(1, text(1, "a")+text(2, "r")) + text(1, text(1, "b")), `{"message":{"subject":"b","reply_to":"r"}}`},
		{"a message twice, then empty", "PAY-14", "eventstream.StreamQuery", text(2, "\x08\x05") + text(2, ""), `{"range":{"min_time":"5"}}`},
		{"an entry without its value", "PAY-15", request, entry(k), `{"header":{"k":""}}`},
		{"an entry without its key", "PAY-15", request, entry(v), `{"header":{"":"v"}}`},
		{"an empty entry", "PAY-15", request, entry(""), `{"header":{"":""}}`},
		{"an entry with its value first", "PAY-12", request, entry(v + k), `{"header":{"k":"v"}}`},
		{"an entry with two values", "PAY-13", request, entry(k + v + text(2, "w")), `{"header":{"k":"w"}}`},
		{"a map's key twice", "PAY-16", request, entry(k+v) + entry(k+text(2, "w")), `{"header":{"k":"w"}}`},
		{"two members of a oneof", "PAY-17", result, text(1, "g") + "\x18\x05", `{"random_no":5}`},
		{"two members of a oneof, the other way round", "PAY-17", result, "\x18\x05" + text(1, "g"), `{"guid":"g"}`},
		{"a member of a oneof with its default", "PAY-17", result, "\x18\x05\x10\x00", `{"sequence_no":"0"}`},
		{"a tag that is longer than need be", "PAY-18", getReply, "\x90\x80\x00\x01", `{"exists":true}`},
		{"a length that is longer than need be", "PAY-18", getReply, "\x0a\x81\x80\x80\x00v", `{"value":"v"}`},
		{"a number of ten bytes", "PAY-18", add, "\x10\x85\x80\x80\x80\x80\x80\x80\x80\x80\x00", `{"value":5}`},
		{"a bool that is 2", "PAY-18", getReply, "\x10\x02", `{"exists":true}`},
		{"a bool beyond 32 bits", "PAY-18", getReply, "\x10\x80\x80\x80\x80\x10", `{"exists":true}`},
		{"an int32 beyond 32 bits", "PAY-18", add, "\x10\x87\x80\x80\x80\x10", `{"value":7}`},
		{"a negative int32 in five bytes", "PAY-18", add, "\x10\xff\xff\xff\xff\x0f", `{"value":-1}`},
		{"a uint32 beyond 32 bits", "PAY-18", response, "\x08\xc8\x81\x80\x80\x10", `{"status_code":200}`},
		{"a uint64 of 64 bits", "PAY-18", "blobstore.Blob", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", `{"byte_size":"18446744073709551615"}`},
		{"an enum's value that nobody knows", "PAY-19", "extras.GeneratorRequest", "\x08\x63", `{"gentype":99}`},
		{"a negative value of an enum", "PAY-19", "extras.GeneratorRequest", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", `{"gentype":-1}`},
		{"a string that is a varint", "PAY-20", getReply, "\x08\x05\x10\x01", `{"exists":true}`},
		{"a number that is bytes", "PAY-20", add, text(2, "\x05") + text(1, "n"), `{"key":"n"}`},
		{"a number that is fixed32", "PAY-20", add, "\x15\x05\x00\x00\x00" + text(1, "n"), `{"key":"n"}`},
		{"a message that is a varint", "PAY-20", "messaging.DeliverMessage", "\x08\x05", `{}`},
		{"a map that is a varint", "PAY-20", request, "\x20\x05" + text(1, "GET"), `{"method":"GET"}`},
		{"the published message in field 1", "PAY-11", "messaging.PublishMessage", text(1, text(1, "s")), `{}`},
		{"the character U+10FFFF", "PAY-25", getReply, text(1, "\xf4\x8f\xbf\xbf"), `{"value":"` + "\U0010ffff" + `"}`},
		{"the character 0", "PAY-25", getReply, text(1, "\x00"), `{"value":"\u0000"}`},
		{"groups as deep as may be", "PAY-26", getReply, strings.Repeat("\x7b", 100) + strings.Repeat("\x7c", 100), `{}`},
	}
}

// brokenPayloads have one fault each.
func brokenPayloads() []decodeCase {
	entry := func(parts string) string { return text(4, parts) }
	return []decodeCase{
		{"a tag alone", "PAY-21", getReply, "\x0a", vectors.Truncated},
		{"half of a tag", "PAY-21", getReply, "\xf8", vectors.Truncated},
		{"half of a varint", "PAY-21", getReply, "\x10\x80", vectors.Truncated},
		{"half of an unknown varint", "PAY-21", getReply, "\x78\xff\xff", vectors.Truncated},
		{"a string that ends early", "PAY-21", getReply, "\x0a\x03ab", vectors.Truncated},
		{"a length beyond the end by far", "PAY-21 PAY-27", getReply, "\x0a\xff\xff\xff\xff\x07a", vectors.Truncated},
		{"a length of 2^63", "PAY-21 PAY-27", getReply, "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", vectors.Truncated},
		{"a length of 2^64-1", "PAY-21 PAY-27", getReply, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01ab", vectors.Truncated},
		{"bytes that end early", "PAY-21", response, "\x22\x05abc", vectors.Truncated},
		{"a fixed64 that ends early", "PAY-21", getReply, "\x79\x01\x02\x03\x04", vectors.Truncated},
		{"a fixed32 that ends early", "PAY-21", getReply, "\x7d\x01\x02", vectors.Truncated},
		{"unknown bytes that end early", "PAY-21", getReply, "\x7a\x05ab", vectors.Truncated},
		{"a group without an end", "PAY-21", getReply, "\x7b\x08\x05", vectors.Truncated},
		{"an entry that ends early", "PAY-21", request, "\x22\x08" + text(1, "k"), vectors.Truncated},
		{"a key beyond its entry", "PAY-21", request, entry("\x0a\x05k") + text(1, "GET"), vectors.Truncated},
		{"a field beyond its message", "PAY-21", "messaging.DeliverMessage", text(1, "\x0a\x05s") + "\x78\x01", vectors.Truncated},
		{"a varint of eleven bytes", "PAY-22", add, "\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", vectors.Overflow},
		{"a varint of 65 bits", "PAY-22", add, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", vectors.Overflow},
		{"a length of 65 bits", "PAY-22", getReply, "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", vectors.Overflow},
		{"an unknown varint of eleven bytes", "PAY-22", getReply, "\x78\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", vectors.Overflow},
		{"the field number 0", "PAY-23", getReply, "\x00\x01", vectors.FieldNumber},
		{"the field number 0, as bytes", "PAY-23", getReply, "\x02\x01a", vectors.FieldNumber},
		{"the field number 2^29", "PAY-23", getReply, "\x80\x80\x80\x80\x10\x01", vectors.FieldNumber},
		{"the field number 0 in an entry", "PAY-23", request, entry("\x00\x01"), vectors.FieldNumber},
		{"the wire type 6", "PAY-24", getReply, "\x7e\x01", vectors.WireType},
		{"the wire type 7", "PAY-24", getReply, "\x7f\x01", vectors.WireType},
		{"the wire type 6 of a known field", "PAY-24", getReply, "\x0e\x01", vectors.WireType},
		{"the end of a group that did not begin", "PAY-24", getReply, "\x7c", vectors.Group},
		{"the end of another group", "PAY-24", getReply, "\x7b\x74", vectors.Group},
		{"groups that overlap", "PAY-24", getReply, "\x7b\x0b\x7c\x0c", vectors.Group},
		{"a string that is Latin-1", "PAY-25", getReply, text(1, "caf\xe9"), vectors.UTF8},
		{"a string that ends within a character", "PAY-25", getReply, text(1, "\xe4\xb8"), vectors.UTF8},
		{"an overlong character", "PAY-25", getReply, text(1, "\xc0\xaf"), vectors.UTF8},
		{"half of a surrogate pair", "PAY-25", getReply, text(1, "\xed\xa0\x80"), vectors.UTF8},
		{"a character beyond U+10FFFF", "PAY-25", getReply, text(1, "\xf4\x90\x80\x80"), vectors.UTF8},
		{"a map's key that is not UTF-8", "PAY-25", request, entry(text(1, "\xff") + text(2, "v")), vectors.UTF8},
		{"a map's value that is not UTF-8", "PAY-25", request, entry(text(1, "k") + text(2, "\xff")), vectors.UTF8},
		{"a repeated string that is not UTF-8", "PAY-25", "keyvalue.SetQueryResponse", text(1, "a") + text(1, "\xff"), vectors.UTF8},
		{"a oneof's string that is not UTF-8", "PAY-25", result, text(1, "\xff"), vectors.UTF8},
		{"a string of a message within that is not UTF-8", "PAY-25", "messaging.PublishMessage", text(2, text(1, "\xff")), vectors.UTF8},
		{"groups too deep", "PAY-26", getReply, strings.Repeat("\x7b", 101) + strings.Repeat("\x7c", 101), vectors.Depth},
	}
}
