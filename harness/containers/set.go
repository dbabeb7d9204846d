package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/testcontainers/testcontainers-go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/harness/companion"
)

// Set is the services that one process runs for another: what its companion does.
// It has the session with the reaper to itself.
type Set struct {
	mu       sync.Mutex
	services map[string]*Service // by name
}

// NewSet makes an empty set.
func NewSet() *Set { return &Set{services: make(map[string]*Service)} }

// kinds are the services by the capability that they are for.
var kinds = map[string]kind{
	capability.KeyValue:     redis,
	capability.Messaging:    nats,
	capability.EventStreams: nats,
	capability.Blobstore:    s3,
}

// Start starts a service and returns when it answers.
func (s *Set) Start(ctx context.Context, r companion.Request) (companion.Started, error) {
	k, ok := kinds[r.Capability]
	if !ok {
		return companion.Started{}, fmt.Errorf("harness/containers: no service for the capability %q; there is one for %v", r.Capability, slices.Sorted(maps.Keys(kinds)))
	}
	service, err := start(ctx, k, &Options{Image: r.Image, Reuse: r.Reuse})
	if err != nil {
		return companion.Started{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services[service.Name()] = service
	return companion.Started{URL: service.URL(), Name: service.Name()}, nil
}

// Stop ends the service of that name.
func (s *Set) Stop(ctx context.Context, name string) error {
	s.mu.Lock()
	service := s.services[name]
	delete(s.services, name)
	s.mu.Unlock()
	if service == nil {
		return nil
	}
	return service.Close(ctx)
}

// Remove ends the services of a key.
func (s *Set) Remove(ctx context.Context, reuse string) error { return Remove(ctx, reuse) }

// Close ends all services, those with a key excepted, and the reaper.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(s.services)+1)
	var ending sync.WaitGroup
	for i, service := range slices.Collect(maps.Values(s.services)) {
		ending.Go(func() { errs[i] = service.Close(ctx) })
	}
	ending.Wait()
	if e, err := connect(); err == nil {
		errs[len(errs)-1] = errors.Join(e.removeAll(ctx, "org.testcontainers.reaper=true", "org.testcontainers.sessionId="+testcontainers.SessionID()), e.close())
	}
	return errors.Join(errs...)
}
