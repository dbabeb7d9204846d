package httpserver

import (
	"strconv"
	"strings"
)

// liking is how much a client wants a media type.
type liking struct {
	q           float64
	specificity int // 3: named, 2: its kind, 1: anything
	position    int // in the header
}

func (l liking) beats(other liking) bool {
	switch {
	case l.q != other.q:
		return l.q > other.q
	case l.specificity != other.specificity:
		return l.specificity > other.specificity
	}
	return l.position < other.position
}

// prefer returns the offer that the client likes best by its Accept headers
// (RFC 9110, 12.5.1), the first where it has no opinion.
func prefer(accept []string, offers ...string) string {
	ranges := strings.Split(strings.Join(accept, ","), ",")
	best, bestLiking := offers[0], likingFor(offers[0], ranges)
	for _, offer := range offers[1:] {
		if l := likingFor(offer, ranges); l.beats(bestLiking) {
			best, bestLiking = offer, l
		}
	}
	return best
}

// likingFor finds the most specific range that covers offer.
func likingFor(offer string, ranges []string) liking {
	kind, _, _ := strings.Cut(offer, "/")
	var found liking
	for i, item := range ranges {
		media, parameters, _ := strings.Cut(item, ";")
		specificity := 0
		switch strings.ToLower(strings.TrimSpace(media)) {
		case offer:
			specificity = 3
		case kind + "/*":
			specificity = 2
		case "*/*":
			specificity = 1
		}
		if specificity > found.specificity {
			found = liking{q: quality(parameters), specificity: specificity, position: i}
		}
	}
	return found
}

// quality reads the q parameter; it is 1 where there is none.
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
