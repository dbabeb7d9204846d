package redis

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"crypto/sha256"
)

// The first line of a file of state. FORMAT.md describes the format.
const (
	formatName    = "waxo redis state"
	formatVersion = 1
)

// The kinds of what a key holds, by the names that the TYPE command has.
const (
	kindString = "string"
	kindList   = "list"
	kindSet    = "set"
	kindHash   = "hash"
	kindSorted = "zset"
	kindStream = "stream"
)

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type footer struct {
	Keys   *int   `json:"keys"`
	SHA256 string `json:"sha256,omitempty"`
}

// record is a key and what it holds, in the field of its kind.
type record struct {
	DB      int      `json:"db"`
	Key     text     `json:"key"`
	Kind    string   `json:"kind"`
	Expires int64    `json:"expires_ms,omitempty"`
	Value   *text    `json:"value,omitempty"`
	Items   []text   `json:"items,omitempty"`
	Fields  []field  `json:"fields,omitempty"`
	Members []member `json:"members,omitempty"`
	Entries []entry  `json:"entries,omitempty"`
}

type field struct {
	Name    text  `json:"name"`
	Value   text  `json:"value"`
	Expires int64 `json:"expires_ms,omitempty"`
}

type member struct {
	Name  text   `json:"name"`
	Score number `json:"score"`
}

type entry struct {
	ID     string `json:"id"`
	Values []text `json:"values"`
}

// text is a string of any bytes: a JSON string where it is UTF-8, else an
// object with the bytes in base64.
type text string

type binary struct {
	Base64 []byte `json:"base64"`
}

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(binary{[]byte(t)})
}

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var b binary
		err := strict(data, &b)
		*t = text(b.Base64)
		return err
	}
	if string(data) == "null" {
		return errors.New("null where a string is due")
	}
	return json.Unmarshal(data, (*string)(t))
}

// number is a score, which may be infinite, as a JSON string.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	return json.Marshal(strconv.FormatFloat(float64(n), 'g', -1, 64))
}

func (n *number) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && f != f {
		err = errors.New("a score that is no number")
	}
	*n = number(f)
	return err
}

func texts(from []string) []text {
	to := make([]text, len(from))
	for i, s := range from {
		to[i] = text(s)
	}
	return to
}

func plain(from []text) []string {
	to := make([]string, len(from))
	for i, t := range from {
		to[i] = string(t)
	}
	return to
}

// encode writes a state. The same state gives the same bytes.
func encode(records []record) []byte {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	put := func(v any) {
		if err := lines.Encode(v); err != nil {
			panic(err) // our own types, into memory: there is nothing to fail
		}
	}
	put(header{formatName, formatVersion})
	for i := range records {
		put(&records[i])
	}
	n, sum := len(records), sha256.Sum256(b.Bytes())
	put(footer{&n, hex.EncodeToString(sum[:])})
	return b.Bytes()
}

// decode reads a state.
func decode(data []byte) ([]record, error) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	var head header
	if err := json.Unmarshal(first, &head); err != nil || head.Format != formatName {
		return nil, errors.New("it is not a file of state, or damaged: its first line does not say that it is")
	}
	if head.Version != formatVersion {
		return nil, fmt.Errorf("it has version %d of the format and this program knows version %d: use the program that wrote it, or a later one", head.Version, formatVersion)
	}
	body, last, err := splitFooter(data, rest)
	if err != nil {
		return nil, err
	}
	var records []record
	seen := make(map[string]bool)
	for len(body) > 0 {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte("\n"))
		var r record
		if err = strict(line, &r); err == nil {
			err = r.check()
		}
		if id := fmt.Sprint(r.DB, " ", r.Key); err == nil && seen[id] {
			err = errors.New("the key is there twice")
		} else {
			seen[id] = true
		}
		if err != nil {
			return nil, fmt.Errorf("it is damaged: line %d: %w", len(records)+2, err)
		}
		records = append(records, r)
	}
	if *last.Keys != len(records) {
		return nil, fmt.Errorf("it is damaged: its last line tells of %d keys, there are %d", *last.Keys, len(records))
	}
	return records, nil
}

// splitFooter takes the last line off rest, which is data without its first
// line, and checks what it says of all before it.
func splitFooter(data, rest []byte) (body []byte, last footer, err error) {
	trimmed, ended := bytes.CutSuffix(rest, []byte("\n"))
	start := bytes.LastIndexByte(trimmed, '\n') + 1
	if err := strict(trimmed[start:], &last); !ended || err != nil || last.Keys == nil {
		return nil, last, errors.New("it is damaged: its end is missing")
	}
	sum := sha256.Sum256(data[:len(data)-len(rest)+start])
	if last.SHA256 != "" && last.SHA256 != hex.EncodeToString(sum[:]) {
		return nil, last, errors.New("it is damaged or was edited: the checksum in its last line does not fit (who edits it takes the checksum out)")
	}
	return rest[:start], last, nil
}

// check tells whether a record holds what its kind needs, and nothing else.
func (r *record) check() error {
	if r.DB < 0 || r.DB >= databases {
		return fmt.Errorf("there is no database %d", r.DB)
	}
	if r.Expires < 0 {
		return errors.New("expires_ms is negative")
	}
	has := map[string]int{"items": len(r.Items), "fields": len(r.Fields), "members": len(r.Members), "entries": len(r.Entries)}
	if r.Value != nil {
		has["value"] = 1
	}
	need := map[string]string{
		kindString: "value", kindList: "items", kindSet: "items", kindHash: "fields", kindSorted: "members", kindStream: "entries",
	}[r.Kind]
	if need == "" {
		return fmt.Errorf("there is no kind %q", r.Kind)
	}
	for name, n := range has {
		if (n > 0) != (name == need) {
			return fmt.Errorf("a key of the kind %q has %q and nothing else", r.Kind, need)
		}
	}
	return nil
}

// strict decodes one JSON value and refuses fields that nobody knows, and
// anything after it.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value on a line")
	}
	return nil
}
