package manifest_test

import (
	"fmt"

	"github.com/waxosuit/waxo/devhost/manifest"
)

func ExampleParse() {
	_, err := manifest.Parse([]byte(`name = "counter"
language = "go"
capabilities = ["wascap:httpserver"]

[dev]
prot = 8080
`), "waxo.toml")
	fmt.Println(err)
	// Output:
	// waxo.toml:3:17: unknown capability "wascap:httpserver": did you mean "wascap:http_server"?
	// waxo.toml:6:1: unknown key "prot" in [dev]: did you mean "port"?
}
