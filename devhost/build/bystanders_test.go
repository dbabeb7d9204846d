package build_test

import (
	"testing"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
)

func TestBystanders(t *testing.T) {
	b := build.NewBystanders(&manifest.Manifest{Language: manifest.LanguageGo})
	for path, bystander := range map[string]bool{
		"README.md": true, "dev.log": true, "static/a.css": true, "gopher": true, "x.mod": true,
		"main.go": false, "sub/x.go": false, "go.mod": false, "waxo.toml": false, "a_wasm.s": false, "vendor/modules.txt": false,
	} {
		if b.All([]string{path}) != bystander {
			t.Errorf("%s: bystander is %v", path, !bystander)
		}
	}
	b.Learn([]string{"README.md", "dev.log"})
	b.Learn([]string{"page.html", "main.go"}) // which of them made no difference is not known
	b.Forget([]string{"page.html"})
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
		if b.Idles(test.paths) != test.idles {
			t.Errorf("%v: idle is %v", test.paths, !test.idles)
		}
	}
	b.Forget([]string{"README.md", "main.go"})
	if b.Idles([]string{"dev.log"}) {
		t.Error("a changed source may embed dev.log, but its changes do not count")
	}
	custom := build.NewBystanders(&manifest.Manifest{Language: manifest.LanguageCustom})
	custom.Learn([]string{"README.md"})
	if custom.All([]string{"README.md"}) || custom.Idles([]string{"README.md"}) {
		t.Error("what a custom command reads is known")
	}
}
