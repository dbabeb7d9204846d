package workbench

import (
	"slices"
	"testing"
	"time"
)

func TestCausesAddUp(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	c := cause{at: early, paths: []string{"a"}}.and(cause{at: late, paths: []string{"b"}, forced: true})
	if !c.at.Equal(early) || !c.forced || !slices.Equal(c.paths, []string{"a", "b"}) {
		t.Errorf("got %+v", c)
	}
	if c = (cause{}).and(cause{at: late, forced: true}); !c.at.Equal(late) || !c.forced {
		t.Errorf("got %+v", c)
	}
}
