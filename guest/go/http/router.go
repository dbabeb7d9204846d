package http

import (
	"slices"
	"strings"
	"unsafe"
)

// Router leads requests to handlers by method and path. The zero value has no
// routes.
//
// Where it finds no path it answers 404, where it finds the path but not the
// method 405 with the header Allow. A route for GET serves HEAD as well.
type Router struct{ routes []route }

type route struct {
	method   string // "" is any
	segments []segment
	open     bool // the last segment matches any number of parts
	handler  Handler
}

// segment is one part of a pattern's path, between slashes.
type segment struct {
	kind kind
	text string // the literal text, or the name
}

// kind is how much a segment matches; the more particular ones come first.
type kind int

const (
	literal kind = iota // "items": itself
	single              // "{id}": one part of the path, not empty
	rest                // "{path...}": all that is left, which may be empty
)

// Handle adds a route. A pattern is a method, a space and a path, such as
//
//	GET /items/{id}
//
// or a path alone, for every method. {id} matches one part of the path, and
// {path...}, at the end, all that is left after the slash; Request.PathValue
// returns what they matched. A path matches as a whole: "/" is the root alone. Where several routes
// match, the one whose path is literal for longer is taken.
//
// Handle panics where the pattern is malformed or there already, or h is nil.
func (rt *Router) Handle(pattern string, h Handler) {
	if h == nil {
		panic("http: the handler of " + pattern + " is nil")
	}
	r, problem := parsePattern(pattern)
	if problem != "" {
		panic("http: the pattern \"" + pattern + "\" " + problem)
	}
	r.handler = h
	i, found := slices.BinarySearchFunc(rt.routes, r, compareRoutes)
	if found {
		panic("http: the pattern \"" + pattern + "\" matches what an earlier one matches")
	}
	rt.routes = slices.Insert(rt.routes, i, r)
}

// Serve is the Router's Handler.
func (rt *Router) Serve(r *Request) (*Response, error) {
	if route := r.matched.again(rt, r); route != nil {
		r.path = r.matched.path
		return route.handler(r)
	}
	var some [16]string
	parts, ok := split(r.Path, some[:0])
	if !ok {
		return Text(400, "the path is malformed\n"), nil
	}
	found := false
	for i := range rt.routes {
		route := &rt.routes[i]
		if len(route.segments) != len(parts) && !route.open || !match(route.segments, parts) {
			continue
		}
		switch {
		case route.method == "" || route.method == r.Method:
			r.setPath(route.segments, parts)
			r.matched = matched{rt, len(rt.routes), i, r.Method, r.Path, r.path}
			return route.handler(r)
		case route.method == "GET" && r.Method == "HEAD":
			r.setPath(route.segments, parts)
			return head(route.handler, r)
		}
		found = true
	}
	if !found {
		return NotFound(), nil
	}
	resp := Text(405, "method not allowed\n")
	resp.Header.Set("Allow", strings.Join(rt.allowed(parts), ", "))
	return resp, nil
}

// matched is where a Router led the last Request that was in the same memory:
// mostly the next one is for the same.
type matched struct {
	router       *Router
	routes       int // that it had
	route        int
	method, line string
	path         []pathValue
}

// again returns the route of a request that is for the same again, nil if it may
// not be. Only where the strings are those of the request before, there is no
// need to read them.
func (m *matched) again(rt *Router, r *Request) *route {
	if m.router != rt || m.routes != len(rt.routes) || !same(m.line, r.Path) || !same(m.method, r.Method) {
		return nil
	}
	return &rt.routes[m.route]
}

func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

// split appends the parts of a path, decoded, to parts.
func split(path string, parts []string) (_ []string, ok bool) {
	plain, start := true, 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			plain = plain && path[i] != '%'
			continue
		}
		part := path[start:i]
		if !plain {
			if part, ok = unescape(part, false); !ok {
				return nil, false
			}
		}
		parts = append(parts, part)
		plain, start = true, i+1
	}
	if len(parts) == 0 {
		parts = append(parts, "")
	}
	return parts, true
}

// allowed returns the methods of the routes that match, sorted.
func (rt *Router) allowed(parts []string) []string {
	var methods []string
	for _, route := range rt.routes {
		if !match(route.segments, parts) {
			continue
		}
		methods = insert(methods, route.method)
		if route.method == "GET" {
			methods = insert(methods, "HEAD")
		}
	}
	return methods
}

// insert adds a method to those that are sorted, once.
func insert(sorted []string, method string) []string {
	i, found := slices.BinarySearch(sorted, method)
	if found {
		return sorted
	}
	return slices.Insert(sorted, i, method)
}
