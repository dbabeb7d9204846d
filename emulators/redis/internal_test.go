package redis

import (
	"bytes"
	"errors"
	"io"
	"net"
	"reflect"
	"strconv"
	"testing"
)

// FuzzDecode: whatever is in a file of state, it is refused or read, and what
// was read is written and read again without a change.
func FuzzDecode(f *testing.F) {
	v := text("v\xff")
	f.Add(encode(nil))
	f.Add(encode([]record{
		{Key: "k", Kind: kindString, Value: &v, Expires: 1},
		{DB: 3, Key: "\xfe", Kind: kindHash, Fields: []field{{"f", "v", 2}}},
		{Key: "z", Kind: kindSorted, Members: []member{{"a", 1.5}}},
		{Key: "s", Kind: kindStream, Entries: []entry{{"1-1", []text{"a", "b"}}}},
		{Key: "l", Kind: kindList, Items: []text{"a", ""}},
	}))
	f.Add([]byte("{\"format\":\"waxo redis state\",\"version\":1}\n{\"db\":0,\"key\":\"k\",\"kind\":\"set\",\"items\":[\"\\ud800\"]}\n{\"keys\":1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(encode(records))
		if err != nil || !reflect.DeepEqual(records, again) {
			t.Errorf("read %+v\nagain %+v (%v)", records, again, err)
		}
	})
}

// script is a connection whose other side says one thing and listens.
type script struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }

// FuzzGuard: whatever a client sends, what comes through the guard is whole
// commands with at least a name, of which the last may be cut off.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"PING\r\n", "*1\r\n$4\r\nPING\r\n", "*0\r\n*-5\r\n", "*2\r\n$1\r\na\r\n$-1\r\n", "\n\n a  b \n", "*1\r\n$99999999999\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := &script{in: bytes.NewReader(sent)}
		got, err := io.ReadAll(newGuard(conn))
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		for whole := true; len(got) > 0; {
			if got, whole = command(t, got); !whole {
				return
			}
		}
	})
}

// command takes a command off b, and tells whether it was all there.
func command(t *testing.T, b []byte) (rest []byte, whole bool) {
	n, b, whole := readLength(t, b, '*')
	if whole && n < 1 {
		t.Fatal("a command without a name")
	}
	for ; n > 0 && whole; n-- {
		var size int
		if size, b, whole = readLength(t, b, '$'); !whole || len(b) < size+2 {
			return nil, false
		}
		b = b[size+2:]
	}
	return b, whole
}

func readLength(t *testing.T, b []byte, kind byte) (n int, rest []byte, whole bool) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(line[1:]))
	if line[0] != kind || err != nil || n < 0 || n > maxBulk {
		t.Fatalf("the header %q", line)
	}
	return n, rest, true
}
