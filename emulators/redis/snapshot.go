package redis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// snapshot copies the state, in an order that is always the same.
func (s *Server) snapshot(now time.Time) []record {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.clock.advance(now)
	var records []record
	for i := range databases {
		db := s.mini.DB(i)
		for _, key := range db.Keys() {
			if r, ok := s.copyKey(db, key); ok {
				r.DB = i
				records = append(records, r)
			}
		}
	}
	return records
}

// copyKey copies what a key holds; not ok where there is nothing to save.
func (s *Server) copyKey(db *miniredis.RedisDB, key string) (r record, ok bool) {
	r = record{Key: text(key), Kind: db.Type(key)}
	if left := db.TTL(key); left > 0 {
		r.Expires = s.clock.now.Add(left).UnixMilli()
	}
	// The errors of miniredis here say that the key is gone or of another kind,
	// which the gate keeps from happening; ok stays false then.
	switch r.Kind {
	case kindString:
		value, err := db.Get(key)
		r.Value = (*text)(&value)
		return r, err == nil
	case kindList:
		items, err := db.List(key)
		r.Items = texts(slices.Clone(items))
		return r, err == nil
	case kindSet:
		items, err := db.Members(key)
		r.Items = texts(items)
		return r, err == nil
	case kindHash:
		r.Fields = s.copyFields(db, key)
	case kindSorted:
		r.Members = copyMembers(db, key)
	case kindStream:
		r.Entries = copyEntries(db, key)
	}
	return r, len(r.Fields)+len(r.Members)+len(r.Entries) > 0
}

func (s *Server) copyFields(db *miniredis.RedisDB, key string) []field {
	names, _ := db.HKeys(key)
	fields := make([]field, 0, len(names))
	for _, name := range names {
		f := field{Name: text(name), Value: text(db.HGet(key, name))}
		if left := db.HTTL(key, name); left > 0 {
			f.Expires = s.clock.now.Add(left).UnixMilli()
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b field) int { return cmp.Compare(a.Name, b.Name) })
	return fields
}

func copyMembers(db *miniredis.RedisDB, key string) []member {
	scores, _ := db.SortedSet(key)
	members := make([]member, 0, len(scores))
	for name, score := range scores {
		members = append(members, member{Name: text(name), Score: number(score)})
	}
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(a.Name, b.Name))
	})
	return members
}

func copyEntries(db *miniredis.RedisDB, key string) []entry {
	stream, _ := db.Stream(key)
	entries := make([]entry, 0, len(stream))
	for _, e := range stream {
		entries = append(entries, entry{ID: e.ID, Values: texts(slices.Clone(e.Values))})
	}
	return entries
}

// restore puts a record's key into the server, unless it has expired.
func (s *Server) restore(r record) error {
	db, key, now := s.mini.DB(r.DB), string(r.Key), s.clock.now
	if r.Expires != 0 && r.Expires <= now.UnixMilli() {
		return nil
	}
	var err error
	switch r.Kind {
	case kindString:
		err = db.Set(key, string(*r.Value))
	case kindList:
		_, err = db.Push(key, plain(r.Items)...)
	case kindSet:
		_, err = db.SetAdd(key, plain(r.Items)...)
	case kindHash:
		s.restoreFields(db, key, r.Fields)
	case kindSorted:
		for _, m := range r.Members {
			if _, err = db.ZAdd(key, float64(m.Score), string(m.Name)); err != nil {
				return err
			}
		}
	case kindStream:
		for _, e := range r.Entries {
			if _, err = db.XAdd(key, e.ID, plain(e.Values)); err != nil {
				return fmt.Errorf("the entry %q: %w", e.ID, err)
			}
		}
	}
	if err == nil && r.Expires != 0 {
		db.SetTTL(key, time.UnixMilli(r.Expires).Sub(now))
	}
	return err
}

func (s *Server) restoreFields(db *miniredis.RedisDB, key string, fields []field) {
	for _, f := range fields {
		left := time.UnixMilli(f.Expires).Sub(s.clock.now)
		if f.Expires != 0 && left <= 0 {
			continue
		}
		db.HSet(key, string(f.Name), string(f.Value))
		if f.Expires != 0 {
			s.clock.fields.Store(true)
			db.HExpire(key, string(f.Name), left)
		}
	}
}
