package http

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parsePattern reads a pattern, or says what is wrong with it.
func parsePattern(pattern string) (r route, problem string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	switch {
	case ok && !validMethod(method):
		return r, "does not start with a method in capital letters, or with a path"
	case !strings.HasPrefix(path, "/"):
		return r, "has no path that starts with a slash"
	case strings.ContainsAny(path, " ?#%") || !utf8.ValidString(path):
		return r, "has a path with a space, a query, a fragment or a percent sign: paths are written decoded"
	}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		s, problem := parseSegment(part)
		if problem != "" {
			return r, problem
		}
		if s.kind == rest && i != len(parts)-1 {
			return r, "goes on after {" + s.text + "...}, which matches all that is left"
		}
		if s.kind != literal && slices.ContainsFunc(r.segments, func(o segment) bool { return o.kind != literal && o.text == s.text }) {
			return r, "names {" + s.text + "} twice"
		}
		r.segments = append(r.segments, s)
		r.open = s.kind == rest
	}
	r.method = method
	return r, ""
}

func parseSegment(part string) (s segment, problem string) {
	if !strings.ContainsAny(part, "{}") {
		return segment{literal, part}, ""
	}
	name, opened := strings.CutPrefix(part, "{")
	name, closed := strings.CutSuffix(name, "}")
	name, all := strings.CutSuffix(name, "...")
	if !opened || !closed || !validVariable(name) {
		return s, "has the part " + part + ", which is neither plain text nor {name} nor {name...}"
	}
	if all {
		return segment{rest, name}, ""
	}
	return segment{single, name}, ""
}

func validMethod(method string) bool {
	for i := range len(method) {
		if 'a' <= method[i] && method[i] <= 'z' {
			return false
		}
	}
	return validName(method)
}

func validVariable(name string) bool {
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != '_' {
			return false
		}
	}
	return name != ""
}

// compareRoutes orders routes: the first that matches is the one to take. Routes
// that match the same are equal.
func compareRoutes(a, b route) int {
	bySegment := slices.CompareFunc(a.segments, b.segments, func(x, y segment) int {
		if x.kind == literal && y.kind == literal {
			return strings.Compare(x.text, y.text)
		}
		return cmp.Compare(x.kind, y.kind)
	})
	if bySegment != 0 {
		return bySegment
	}
	return -strings.Compare(a.method, b.method) // any method, "", comes last, HEAD before GET
}

// match compares the parts of a path with the segments of a pattern.
func match(segments []segment, parts []string) bool {
	if len(segments) > len(parts) {
		return false
	}
	for i := range segments {
		s := &segments[i]
		switch {
		case s.kind == literal && (len(s.text) != len(parts[i]) || s.text != parts[i]):
			return false
		case s.kind == single && parts[i] == "":
			return false
		case s.kind == rest:
			return true
		}
	}
	return len(segments) == len(parts)
}

// setPath keeps what the segments of a pattern matched.
func (r *Request) setPath(segments []segment, parts []string) {
	r.path, r.matched = r.some[:0], matched{}
	for i := range segments {
		switch s := &segments[i]; s.kind {
		case single:
			r.path = append(r.path, pathValue{s.text, parts[i]})
		case rest:
			r.path = append(r.path, pathValue{s.text, strings.Join(parts[i:], "/")})
		}
	}
}

// head answers a HEAD by the handler for GET: the same header, no body.
func head(h Handler, r *Request) (*Response, error) {
	resp, err := h(r)
	if err != nil || resp == nil {
		return resp, err
	}
	if resp.Header.Get("Content-Length") == "" {
		resp.Header.Set("Content-Length", strconv.Itoa(len(resp.Body)))
	}
	resp.Body = nil
	return resp, nil
}
