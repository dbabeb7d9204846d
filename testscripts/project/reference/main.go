// Command reference writes the reference of the commands of scripts into a document,
// between two lines that say so: reference FILE.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/script"
)

// The lines between which the reference stands.
const (
	begin = "<!-- commands: written by make generate -->\n"
	end   = "<!-- end of commands -->\n"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: reference FILE")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for it: the lines %q and %q", args[0], begin, end)
	}
	reference := script.Reference("###", project.Commands())
	return os.WriteFile(args[0], []byte(before+begin+"\n"+reference+end+after), 0o644)
}
