// A guest that handles JSON, for the benchmarks.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

type order struct {
	ID    int            `json:"id"`
	Name  string         `json:"name"`
	Tags  []string       `json:"tags"`
	Lines map[string]int `json:"lines"`
	Total float64        `json:"total"`
}

const request = `{"id":17,"name":"a chair \u00e9","tags":["wood","four legs","blue"],"lines":{"seat":1,"leg":4,"back":1},"total":129.95}`

// handle decodes, changes and encodes an order, and returns what it comes to.
//
//go:wasmexport handle
func handle(n int32) int64 {
	sum := int64(0)
	for range n {
		var o order
		if err := json.Unmarshal([]byte(request), &o); err != nil {
			panic(err)
		}
		slices.Sort(o.Tags)
		o.Name = strings.ToUpper(o.Name) + fmt.Sprint(len(o.Lines))
		out, err := json.Marshal(o)
		if err != nil {
			panic(err)
		}
		for _, c := range out {
			sum = sum*31 + int64(c)
		}
	}
	return sum
}

var kept []byte

// echo copies bytes into fresh memory.
//
//go:wasmexport echo
func echo(n int32) int64 {
	text := []byte(strings.Repeat("x", 64))
	for range n {
		kept = append([]byte(nil), text...)
	}
	return int64(len(kept))
}

func main() {}
