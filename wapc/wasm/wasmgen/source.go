package wasmgen

// source hands out the choices that a program is made of. Behind its end every
// choice is the first: so the first of all alternatives is always the simplest,
// and what is generated comes to an end.
type source struct {
	b  []byte
	at int
}

func (s *source) byte() byte {
	if s.at >= len(s.b) {
		return 0
	}
	s.at++
	return s.b[s.at-1]
}

// below chooses a number from 0 to n-1.
func (s *source) below(n int) int {
	switch {
	case n <= 1:
		return 0
	case n <= 256:
		return int(s.byte()) % n
	}
	return (int(s.byte()) | int(s.byte())<<8 | int(s.byte())<<16) % n
}

// chance is true in n of 256 cases, and false behind the end.
func (s *source) chance(n int) bool { return int(s.byte()) >= 256-n }

func (s *source) u64() (v uint64) {
	for range 8 {
		v = v<<8 | uint64(s.byte())
	}
	return v
}

// cut takes the next n bytes as a source of their own.
func (s *source) cut(n int) source {
	n = min(n, len(s.b)-s.at)
	part := source{b: s.b[s.at : s.at+n]}
	s.at += n
	return part
}

func pick[T any](s *source, from []T) T { return from[s.below(len(from))] }
