package redis

import (
	"bufio"
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// databases is how many there are, as in Redis by default.
const databases = 16

// peer is what the hook keeps for a client; only its own goroutine uses it.
type peer struct {
	inside   bool // in a command that the hook itself dispatched
	expiring bool // has sent a command that concerns expiry since the last EXEC
}

// effects say what a command concerns beside its own reply.
type effects uint8

const (
	readsTime effects = 1 << iota // looks at the clock
	setsTime                      // gives a key an expiry
	runs                          // runs a script
	blocks                        // may wait for others
	keeps                         // changes nothing that is saved
)

// commands are those that are more than plain reads or writes.
var commands = map[string]effects{
	"TTL": readsTime, "PTTL": readsTime, "HTTL": readsTime, "HPTTL": readsTime, "TIME": readsTime | keeps,
	"EXPIRETIME": readsTime, "PEXPIRETIME": readsTime, "OBJECT": readsTime | keeps,
	"XADD": readsTime, "XCLAIM": readsTime, "XAUTOCLAIM": readsTime, "XPENDING": readsTime, "XINFO": readsTime | keeps,

	"SETEX": setsTime, "PSETEX": setsTime, "GETEX": setsTime, "RESTORE": setsTime,
	"EXPIRE": setsTime, "PEXPIRE": setsTime, "EXPIREAT": setsTime, "PEXPIREAT": setsTime,
	"HEXPIRE": setsTime, "HSETEX": setsTime,

	"EVAL": runs, "EVALSHA": runs, "EVAL_RO": runs, "EVALSHA_RO": runs,

	"BLPOP": blocks, "BRPOP": blocks, "BRPOPLPUSH": blocks, "BLMOVE": blocks, "BZPOPMIN": blocks, "BZPOPMAX": blocks,
	"BZMPOP": blocks, "XREADGROUP": blocks | readsTime, "WAIT": blocks | keeps,

	"AUTH": keeps, "CLIENT": keeps, "CLUSTER": keeps, "COMMAND": keeps, "DISCARD": keeps, "ECHO": keeps, "HELLO": keeps,
	"INFO": keeps, "MEMORY": keeps, "MULTI": keeps, "PING": keeps, "PSUBSCRIBE": keeps, "PUBLISH": keeps, "PUBSUB": keeps,
	"PUNSUBSCRIBE": keeps, "QUIT": keeps, "SCRIPT": keeps, "SELECT": keeps, "SUBSCRIBE": keeps, "UNSUBSCRIBE": keeps,
	"UNWATCH": keeps, "WATCH": keeps,
}

func effectsOf(cmd string, args []string) effects {
	if cmd == "SET" && len(args) > 2 {
		return setsTime
	}
	return commands[cmd]
}

// hook stands in front of every command of every client. It brings the clock
// up to date, and passes what may change the state through the gate. It answers
// true where the command is done.
func (s *Server) hook(c *server.Peer, cmd string, args ...string) bool {
	p := s.peerOf(c)
	if p == nil {
		return s.scripted(c, cmd, args)
	}
	if p.inside {
		return false
	}
	if badDatabase(cmd, args) {
		c.WriteError("ERR DB index is out of range")
		return true
	}
	e := effectsOf(cmd, args)
	if cmd == "EXEC" {
		if p.expiring {
			e |= setsTime
		}
		p.expiring = false
	}
	s.clock.catchUp(e)
	if e&setsTime != 0 {
		p.expiring = cmd != "EXEC"
		s.clock.watchFields(cmd)
	}
	if e&keeps != 0 || !s.srv.IsRegisteredCommand(cmd) || s.srv.IsReadOnlyCommand(cmd) {
		return false
	}

	p.inside = true
	if e&blocks == 0 {
		s.gate.RLock()
	}
	s.srv.Dispatch(c, append([]string{cmd}, args...))
	if e&setsTime != 0 {
		s.clock.next.Store(unknown)
	}
	if e&blocks == 0 {
		s.gate.RUnlock()
	}
	p.inside = false
	if s.state != nil {
		s.state.changed()
	}
	return true
}

// peerOf returns what is kept for a client, nil for a command from a script:
// that one runs while miniredis is locked, so nothing that locks may be called
// for it.
func (s *Server) peerOf(c *server.Peer) *peer {
	if p, ok := s.peers.Load(c); ok {
		return p.(*peer)
	}
	if scripted(c) {
		return nil
	}
	p := &peer{}
	s.peers.Store(c, p)
	c.OnDisconnect(func() { s.peers.Delete(c) })
	return p
}

// scripted tells whether a command comes from a script. Only miniredis's own
// context of the connection knows. Should that look different one day, a
// command counts as a script's, and the tests of expiry fail.
func scripted(c *server.Peer) bool {
	if c.Ctx == nil {
		return false // a client's first command
	}
	v := reflect.Indirect(reflect.ValueOf(c.Ctx))
	if v.Kind() != reflect.Struct {
		return true
	}
	nested := v.FieldByName("nested")
	return nested.Kind() != reflect.Bool || nested.Bool()
}

// scripted is the hook for a command from a script.
func (s *Server) scripted(c *server.Peer, cmd string, args []string) bool {
	switch {
	case badDatabase(cmd, args):
		c.WriteError("ERR DB index is out of range")
		return true
	case strings.HasPrefix(cmd, "INCR") || strings.HasPrefix(cmd, "DECR"):
		if cmd != "INCRBYFLOAT" && len(args) > 0 && !s.holdsInteger(c, args[0]) {
			c.WriteError("ERR value is not an integer or out of range")
			return true
		}
	case effectsOf(cmd, args)&setsTime != 0:
		s.clock.watchFields(cmd)
		s.clock.next.Store(unknown) // the script's own command holds the gate
	}
	return false
}

// holdsInteger tells whether a string that a script counts with is an integer
// as Redis has it: miniredis takes "+1", "01" and "-0" too. A key of another
// kind is not this function's business, nor is one that does not exist.
func (s *Server) holdsInteger(c *server.Peer, key string) bool {
	var reply bytes.Buffer
	asker := server.NewPeer(bufio.NewWriter(&reply))
	asker.Ctx = c.Ctx
	s.srv.Dispatch(asker, []string{"GET", key})
	asker.Flush()
	answer, err := server.ParseReply(bufio.NewReader(&reply))
	value, ok := answer.(string)
	if err != nil || !ok {
		return true
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == value
}

// badDatabase tells whether a command names a database that Redis does not
// have.
func badDatabase(cmd string, args []string) bool {
	var named []string
	switch {
	case cmd == "SELECT" || cmd == "SWAPDB":
		named = args
	case cmd == "MOVE" && len(args) == 2:
		named = args[1:]
	case cmd == "COPY":
		for i := 2; i+1 < len(args); i++ {
			if strings.EqualFold(args[i], "DB") {
				named = append(named, args[i+1])
			}
		}
	}
	for _, text := range named {
		if n, err := strconv.Atoi(text); err == nil && n >= databases {
			return true
		}
	}
	return false
}
