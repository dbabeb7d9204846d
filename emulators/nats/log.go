package nats

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// sayAgain is how long the server's log keeps quiet about what it said already.
const sayAgain = time.Minute

// logger passes on what nats-server warns of, each kind of it once a minute. Of
// its notices there would be a page for every start.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	died  error
	quiet map[string]time.Time // by the format of what was said
}

// fatal is why the server cannot go on, in its own words.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

// say tells whether something is to be said.
func (l *logger) say(format string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.After(l.quiet[format]) {
		if l.quiet == nil {
			l.quiet = make(map[string]time.Time)
		}
		l.quiet[format] = now.Add(sayAgain)
		return true
	}
	return false
}

func (l *logger) Warnf(format string, v ...any) {
	if l.say(format) {
		l.log.Warn("NATS server: " + fmt.Sprintf(format, v...))
	}
}

func (l *logger) Errorf(format string, v ...any) {
	if l.say(format) {
		l.log.Error("NATS server: " + fmt.Sprintf(format, v...))
	}
}

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.died == nil {
		l.died = errors.New(fmt.Sprintf(format, v...))
	}
}

func (*logger) Noticef(string, ...any) {}
func (*logger) Debugf(string, ...any)  {}
func (*logger) Tracef(string, ...any)  {}
