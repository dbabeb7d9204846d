package nats

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogIsSparing(t *testing.T) {
	var out bytes.Buffer
	l := &logger{log: slog.New(slog.NewTextHandler(&out, nil))}
	for i := range 1000 {
		l.Warnf("the disk is %d%% full", i)
		l.Errorf("stream %d is broken", i)
		l.Noticef("notice %d", i)
		l.Debugf("debug %d", i)
		l.Tracef("trace %d", i)
	}
	if got := strings.Count(out.String(), "\n"); got != 2 || !strings.Contains(out.String(), "the disk is 0% full") {
		t.Errorf("said:\n%s", &out)
	}
	if l.fatal() != nil {
		t.Error(l.fatal())
	}
	l.Fatalf("first %d", 1)
	l.Fatalf("second")
	if l.fatal() == nil || l.fatal().Error() != "first 1" {
		t.Error(l.fatal())
	}
}
