package guestsuite

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// store is a key-value store. No time passes in it, so nothing expires.
type store map[string]any

// items and members are the kinds of a key's content beside a plain text; they
// are never empty.
type (
	items   []string
	members map[string]bool
)

func (s *store) perform(operation string, request registry.Message) (registry.Message, error) {
	if *s == nil {
		*s = make(store)
	}
	switch r := request.(type) {
	case *keyvaluepb.GetRequest:
		text, exists, err := content[string](*s, r.Key)
		return &keyvaluepb.GetResponse{Value: text, Exists: exists}, err
	case *keyvaluepb.KeyExistsQuery:
		_, exists := (*s)[r.Key]
		return &keyvaluepb.GetResponse{Exists: exists}, nil
	case *keyvaluepb.SetRequest:
		if r.ExpiresS < 0 {
			return nil, fail(capability.CodeInvalid, "expires_s is negative")
		}
		(*s)[r.Key] = r.Value
		return &keyvaluepb.SetResponse{Value: r.Value}, nil
	case *keyvaluepb.DelRequest:
		delete(*s, r.Key)
		return &keyvaluepb.DelResponse{Key: r.Key}, nil
	case *keyvaluepb.AddRequest:
		return s.add(r)
	case *keyvaluepb.SetAddRequest:
		return s.member(r.Key, r.Value, true)
	case *keyvaluepb.SetRemoveRequest:
		return s.member(r.Key, r.Value, false)
	case *keyvaluepb.SetQueryRequest:
		return s.combine(operation, []string{r.Key})
	case *keyvaluepb.SetUnionRequest:
		return s.combine(operation, r.Keys)
	case *keyvaluepb.SetIntersectionRequest:
		return s.combine(operation, r.Keys)
	}
	return s.list(request)
}

// content reads what a key holds, if that is of a kind.
func content[T any](s store, key string) (c T, exists bool, err error) {
	held, exists := s[key]
	c, ok := held.(T)
	if exists && !ok {
		return c, false, fail(capability.CodeWrongKind, "the key %q holds another kind of value", key)
	}
	return c, exists, nil
}

func (s *store) add(r *keyvaluepb.AddRequest) (registry.Message, error) {
	text, exists, err := content[string](*s, r.Key)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	if exists {
		if n, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fail(capability.CodeWrongKind, "the value of %q is no integer", r.Key)
		}
	}
	if n += int64(r.Value); n < math.MinInt32 || n > math.MaxInt32 {
		return nil, fail(capability.CodeOutOfRange, "the sum %d does not fit", n)
	}
	(*s)[r.Key] = strconv.FormatInt(n, 10)
	return &keyvaluepb.AddResponse{Value: int32(n)}, nil
}

func (s *store) list(request registry.Message) (registry.Message, error) {
	switch r := request.(type) {
	case *keyvaluepb.ListPushRequest:
		return s.setList(r.Key, func(l items) items { return append(l, r.Value) })
	case *keyvaluepb.ListDelItemRequest:
		return s.setList(r.Key, func(l items) items {
			return slices.DeleteFunc(l, func(v string) bool { return v == r.Value })
		})
	case *keyvaluepb.ListClearRequest:
		return s.setList(r.Key, func(items) items { return nil })
	case *keyvaluepb.ListRangeRequest:
		l, _, err := content[items](*s, r.Key)
		return &keyvaluepb.ListRangeResponse{Values: l.between(int(r.Start), int(r.Stop))}, err
	}
	return nil, fail(capability.CodeUnsupported, "there is no such operation")
}

func (s *store) setList(key string, change func(items) items) (registry.Message, error) {
	l, _, err := content[items](*s, key)
	if err != nil {
		return nil, err
	}
	if l = change(l); len(l) == 0 {
		delete(*s, key)
	} else {
		(*s)[key] = l
	}
	return &keyvaluepb.ListResponse{NewCount: int32(len(l))}, nil
}

// between gives the items from start to stop, both included, counted from the end
// where negative.
func (l items) between(start, stop int) []string {
	at := func(i int) int {
		if i < 0 {
			i += len(l)
		}
		return i
	}
	start, stop = max(at(start), 0), min(at(stop)+1, len(l))
	if start >= stop {
		return nil
	}
	return l[start:stop]
}

func (s *store) member(key, value string, in bool) (registry.Message, error) {
	m, exists, err := content[members](*s, key)
	if err != nil {
		return nil, err
	}
	if !exists {
		m = make(members)
	}
	if in {
		m[value] = true
	} else {
		delete(m, value)
	}
	(*s)[key] = m
	if len(m) == 0 {
		delete(*s, key)
	}
	return &keyvaluepb.SetOperationResponse{NewCount: int32(len(m))}, nil
}

func (s *store) combine(operation string, keys []string) (registry.Message, error) {
	if len(keys) == 0 {
		return nil, fail(capability.CodeInvalid, "%s of no key", operation)
	}
	all := make(members)
	for i, key := range keys {
		m, _, err := content[members](*s, key)
		if err != nil {
			return nil, err
		}
		if operation != capability.OpSetIntersection || i == 0 {
			maps.Copy(all, m)
		} else {
			maps.DeleteFunc(all, func(v string, _ bool) bool { return !m[v] })
		}
	}
	return &keyvaluepb.SetQueryResponse{Values: slices.Sorted(maps.Keys(all))}, nil
}
