package workbench

import (
	"slices"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/manifest"
)

func TestBystanders(t *testing.T) {
	b := newBystanders(&manifest.Manifest{Language: manifest.LanguageGo})
	for path, bystander := range map[string]bool{
		"README.md": true, "dev.log": true, "static/a.css": true, "gopher": true, "x.mod": true,
		"main.go": false, "sub/x.go": false, "go.mod": false, "waxo.toml": false, "a_wasm.s": false, "vendor/modules.txt": false,
	} {
		if b.all([]string{path}) != bystander {
			t.Errorf("%s: bystander is %v", path, !bystander)
		}
	}
	b.learn([]string{"README.md", "dev.log"})
	b.learn([]string{"page.html", "main.go"}) // which of them made no difference is not known
	b.forget([]string{"page.html"})
	for _, test := range []struct {
		paths []string
		idles bool
	}{
		{[]string{"dev.log"}, true},
		{[]string{"README.md", "dev.log"}, true},
		{[]string{"README.md", "page.html"}, false},
		{[]string{"README.md", "main.go"}, false},
		{nil, false}, // a rebuild that was asked for
	} {
		if b.idles(test.paths) != test.idles {
			t.Errorf("%v: idle is %v", test.paths, !test.idles)
		}
	}
	b.forget([]string{"README.md", "main.go"})
	if b.idles([]string{"dev.log"}) {
		t.Error("a changed source may embed dev.log, but its changes do not count")
	}
	custom := newBystanders(&manifest.Manifest{Language: manifest.LanguageCustom})
	custom.learn([]string{"README.md"})
	if custom.all([]string{"README.md"}) || custom.idles([]string{"README.md"}) {
		t.Error("what a custom command reads is known")
	}
}

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
