package redis

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Values of clock.next that are no time.
const (
	never   = math.MaxInt64 // no key expires
	unknown = 0             // some command may have given a key an expiry
)

// step is how fine the clock is: as in Redis. Between two steps nothing can
// expire, so the clock stands.
const step = time.Millisecond

// clock moves the time of miniredis, which stands still by itself. To move it
// makes miniredis look at every key, so it is moved only when a command could
// tell the difference: when a key is due, or the command has to do with time.
// No goroutine is needed for that: what nobody asks for need not expire.
type clock struct {
	mini *miniredis.Miniredis
	gate *sync.RWMutex // keeps commands that set an expiry from seeing it move

	next   atomic.Int64 // Unix time in ns at which a key is due, or never, or unknown
	fields atomic.Bool  // fields of hashes may expire, not just keys
	stale  atomic.Int64 // Unix time in ns from which a script should not find the clock
	now    time.Time    // what miniredis has; gate guards it
}

// catchUp moves the clock where the next command could tell. The caller does
// not hold the gate.
func (c *clock) catchUp(e effects) {
	now := time.Now()
	ns := now.UnixNano()
	if e&(readsTime|setsTime) == 0 && ns < c.next.Load() && (e&runs == 0 || ns < c.stale.Load()) {
		return
	}
	c.gate.Lock()
	defer c.gate.Unlock()
	c.advance(now)
	// What a script will do nobody knows, so its clock is as fresh as a
	// twentieth of the time allows: to the millisecond up to some hundred keys.
	took := time.Since(now)
	c.stale.Store(ns + int64(max(step, 20*took)))
}

// advance moves the clock to now, lets what is due expire and finds out what is
// due next. The gate is held.
func (c *clock) advance(now time.Time) {
	now = now.Round(0) // expiry goes by the wall clock: it survives a restart
	if moved := now.Sub(c.now); moved < step && moved > -time.Second {
		return // too soon, or another command was faster
	}
	c.now = now
	c.mini.SetTime(now)
	next := int64(never)
	for i := range databases {
		db := c.mini.DB(i) // this makes what is due expire
		for _, key := range db.Keys() {
			if left := c.left(db, key); left > 0 {
				next = min(next, now.Add(left).UnixNano())
			}
		}
	}
	c.next.Store(next)
}

// left is the time that a key, or the first of a hash's fields, has left; 0 if
// it does not expire.
func (c *clock) left(db *miniredis.RedisDB, key string) time.Duration {
	left := db.TTL(key)
	if !c.fields.Load() || db.Type(key) != "hash" {
		return left
	}
	fields, _ := db.HKeys(key)
	for _, field := range fields {
		if t := db.HTTL(key, field); t > 0 && (left == 0 || t < left) {
			left = t
		}
	}
	return left
}

// watchFields takes note of a command that lets fields of a hash expire.
func (c *clock) watchFields(cmd string) {
	if cmd == "HEXPIRE" || cmd == "HSETEX" {
		c.fields.Store(true)
	}
}
