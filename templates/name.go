package templates

import (
	"fmt"
	"slices"
	"strings"
)

const maxName = 64

// reserved are names that Go keeps for itself, so no module can have them: the
// packages of its library without a slash in their path, and words of the go
// command.
var reserved = strings.Fields(`
	all builtin bufio bytes cmd cmp context crypto embed encoding errors expvar flag
	fmt go hash html image io iter log maps math mime net os path plugin reflect
	regexp runtime slices sort std strconv strings structs sync syscall testing
	time tool unicode unique unsafe weak work`)

// CheckName reports why a project cannot have that name, with one that it could
// have. The error matches ErrInvalidName.
func CheckName(name string) error {
	switch {
	case !wellFormed(name):
		return fmt.Errorf("%w %q: it takes lower-case letters, digits and hyphens, starts with a letter, and has at most %d characters: %s would do",
			ErrInvalidName, name, maxName, propose(name))
	case slices.Contains(reserved, name):
		return fmt.Errorf("%w %q: Go keeps it for itself: %s would do", ErrInvalidName, name, propose(name))
	}
	return nil
}

func wellFormed(name string) bool {
	for _, r := range name {
		if !allowed(r) {
			return false
		}
	}
	return name != "" && 'a' <= name[0] && name[0] <= 'z' && len(name) <= maxName
}

func allowed(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' }

// propose returns a valid name that is close to name.
func propose(name string) string {
	hyphenated := strings.Map(func(r rune) rune {
		if allowed(r) {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	parts := strings.FieldsFunc(hyphenated, func(r rune) bool { return r == '-' })
	proposal := strings.TrimLeft(strings.Join(parts, "-"), "-0123456789")
	proposal = strings.TrimRight(proposal[:min(maxName, len(proposal))], "-")
	switch {
	case proposal == "":
		return "guest"
	case slices.Contains(reserved, proposal):
		return proposal + "-guest"
	}
	return proposal
}
