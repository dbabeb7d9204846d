package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability/payload/extraspb"
)

// MarshalJSON writes a message in the JSON mapping of proto3, with the fields'
// own names, in their order, without those that have their default: 64-bit
// integers are strings, bytes are base64, enumerations are the names of values.
func MarshalJSON(m Message) ([]byte, error) { return marshal(m, &writer{}) }

// MarshalText does as MarshalJSON, for people: bytes that are UTF-8 are written
// {"text": "..."}, which UnmarshalJSON reads.
func MarshalText(m Message) ([]byte, error) { return marshal(m, &writer{text: true}) }

func marshal(m Message, w *writer) ([]byte, error) {
	if err := w.message(reflect.ValueOf(m).Elem()); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return w.Bytes(), nil
}

// UnmarshalJSON replaces m with what data says, in the JSON mapping of proto3. As
// that has it, names may also be in lowerCamelCase, null is a default, and
// integers may be strings. Bytes may also be given as {"text": "..."}. A field
// that the message does not have is an error, which names those that it has; so is
// what is not UTF-8.
func UnmarshalJSON(data []byte, m Message) error {
	reflect.ValueOf(m).Elem().SetZero()
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8; bytes that are no text are written in base64")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as some editors write it
	return readMessage(data, reflect.ValueOf(m).Elem())
}

// A field of a message. A oneof's fields are told apart by another field of the
// message, and their case.
type field struct {
	name  string // as the standard has it
	index int
	oneof int // index of the field that says which is set; -1 for none
	which uint64
}

// A oneof has numbers in place of names in the generated code, in the order of
// its fields, from 1.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	oneof, which := -1, uint64(0)
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Uint8 {
			oneof = i
			continue
		}
		if oneof >= 0 {
			which++
		}
		fields = append(fields, field{snake(f.Name), i, oneof, which})
	}
	return fields
}

// snake is the standard's spelling of a name of the generated code.
func snake(name string) string {
	var b strings.Builder
	before := 'A'
	for _, c := range name {
		if unicode.IsUpper(c) && unicode.IsLower(before) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
		before = c
	}
	return b.String()
}

// camel is lowerCamelCase of a name with underscores.
func camel(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

var generatorTypes = [...]string{
	extraspb.GeneratorTypeNone: "NONE", extraspb.GeneratorTypeGuid: "GUID",
	extraspb.GeneratorTypeSequence: "SEQUENCE", extraspb.GeneratorTypeRandom: "RANDOM",
}

// isEnum tells whether a type is an enumeration: GeneratorType is the standard's
// only one.
func isEnum(t reflect.Type) bool { return t == reflect.TypeFor[extraspb.GeneratorType]() }

// writer writes JSON.
type writer struct {
	bytes.Buffer
	text bool // bytes are written as text where they are that
}

func (w *writer) message(v reflect.Value) error {
	w.WriteByte('{')
	begin := w.Len()
	for _, f := range fieldsOf(v.Type()) {
		value := v.Field(f.index)
		switch {
		case f.oneof >= 0:
			if v.Field(f.oneof).Uint() != f.which {
				continue
			}
		case value.IsZero(), (value.Kind() == reflect.Slice || value.Kind() == reflect.Map) && value.Len() == 0:
			continue
		}
		if w.Len() > begin {
			w.WriteByte(',')
		}
		fmt.Fprintf(w, "%q:", f.name)
		if err := w.value(value); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	w.WriteByte('}')
	return nil
}

func (w *writer) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		return w.message(v.Elem())
	case reflect.Int64, reflect.Uint64:
		fmt.Fprintf(w, `"%v"`, v.Interface())
		return nil
	case reflect.Int32:
		if n := v.Int(); isEnum(v.Type()) && n >= 0 && n < int64(len(generatorTypes)) {
			return w.json(generatorTypes[n])
		}
		return w.json(v.Int())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if text := v.Bytes(); w.text && utf8.Valid(text) {
				return w.json(map[string]string{"text": string(text)})
			}
			return w.json(v.Bytes())
		}
		w.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				w.WriteByte(',')
			}
			if err := w.value(v.Index(i)); err != nil {
				return err
			}
		}
		w.WriteByte(']')
		return nil
	}
	return w.json(v.Interface())
}

func (w *writer) json(v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	w.Truncate(w.Len() - 1) // its line feed
	return err
}

func readMessage(data []byte, v reflect.Value) error {
	values, names, err := object(data)
	if err != nil {
		return err
	}
	fields := fieldsOf(v.Type())
	set := make(map[int]string)
	for i, name := range names {
		at := slices.IndexFunc(fields, func(f field) bool { return name == f.name || name == camel(f.name) })
		if at < 0 {
			return fmt.Errorf("there is no field %q; there are: %s", name, known(fields))
		}
		f := fields[at]
		if twice, ok := set[f.index]; ok {
			return fmt.Errorf("the field %s is given twice, as %q and as %q", f.name, twice, name)
		}
		set[f.index] = name
		if string(values[i]) == "null" {
			continue
		}
		if f.oneof >= 0 {
			if v.Field(f.oneof).Uint() != 0 {
				return fmt.Errorf("%s is set although another field of its kind is; only one can be", f.name)
			}
			v.Field(f.oneof).SetUint(f.which)
		}
		if err := readValue(values[i], v.Field(f.index)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func known(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// object takes a JSON object apart, in its order, duplicates included.
func object(data []byte) (values []json.RawMessage, names []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, nil, fmt.Errorf("%.40q is no JSON object", data)
	}
	given := make(map[string]bool)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, nil, unfinished(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, nil, unfinished(err)
		}
		if given[name.(string)] {
			return nil, nil, fmt.Errorf("%q is given twice", name)
		}
		given[name.(string)] = true
		names, values = append(names, name.(string)), append(values, value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, nil, unfinished(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("there is more after the JSON object")
	}
	return values, names, nil
}

// unfinished has the end of the input be told in words.
func unfinished(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends before the object does")
	}
	return err
}

func readValue(data []byte, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return readMessage(data, v.Elem())
	case reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return readInteger(data, v)
	case reflect.Map:
		values, names, err := object(data)
		if err != nil {
			return err
		}
		v.Set(reflect.MakeMap(v.Type()))
		for i, name := range names {
			element := reflect.New(v.Type().Elem()).Elem()
			if err := readValue(values[i], element); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			v.SetMapIndex(reflect.ValueOf(name), element)
		}
		return nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return readBytes(data, v)
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(data, &elements); err != nil {
			return fmt.Errorf("%.40q is no list", data)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
		for i, e := range elements {
			if err := readValue(e, v.Index(i)); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	}
	if string(data) == "null" {
		return errors.New("null is no element")
	}
	if err := json.Unmarshal(data, v.Addr().Interface()); err != nil {
		return fmt.Errorf("%.40s is no %v", data, v.Kind())
	}
	return nil
}

func readInteger(data []byte, v reflect.Value) error {
	text := strings.Trim(string(data), `"`)
	if isEnum(v.Type()) {
		if n := slices.Index(generatorTypes[:], text); n >= 0 {
			v.SetInt(int64(n))
			return nil
		}
	}
	bits := v.Type().Bits()
	var err error
	if v.CanInt() {
		var n int64
		if n, err = strconv.ParseInt(text, 10, bits); err == nil {
			v.SetInt(n)
		}
	} else {
		var n uint64
		if n, err = strconv.ParseUint(text, 10, bits); err == nil {
			v.SetUint(n)
		}
	}
	if err == nil {
		return nil
	}
	// 1e3 and 2.0 are integers too.
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return readInteger(strconv.AppendInt(nil, int64(f), 10), v)
	}
	if isEnum(v.Type()) {
		return fmt.Errorf("%s is none of %s", data, strings.Join(generatorTypes[:], ", "))
	}
	return fmt.Errorf("%.40s is no %v", data, v.Kind())
}

func readBytes(data []byte, v reflect.Value) error {
	var text struct {
		Text *string `json:"text"`
	}
	if bytes.HasPrefix(data, []byte("{")) {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&text); err != nil || text.Text == nil {
			return fmt.Errorf(`%.40q is no bytes: write base64, or {"text": "..."}`, data)
		}
		v.SetBytes([]byte(*text.Text))
		return nil
	}
	var encoded string
	if err := json.Unmarshal(data, &encoded); err != nil {
		return fmt.Errorf(`%.40q is no bytes: write base64, or {"text": "..."}`, data)
	}
	encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
	decoded, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf(`%.40q is no base64: bytes are written so, or as {"text": "..."}`, data)
	}
	v.SetBytes(decoded)
	return nil
}
