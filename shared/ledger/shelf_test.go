package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// shelf is a store in memory, for tests that need many objects, or a store that fails at a given moment.
type shelf struct {
	mu      sync.Mutex
	objects map[string]string
	puts    int
	gets    int
	lists   int
	// before is called before an object is written, and after once it is: what they return is the call's error.
	before, after func(key string) error
}

func newShelf() *shelf {
	return &shelf{
		objects: map[string]string{},
		before:  func(string) error { return nil },
		after:   func(string) error { return nil },
	}
}

func (s *shelf) Get(_ context.Context, key string) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	body, ok := s.objects[key]
	if !ok {
		return nil, "", fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	return []byte(body), contentTag([]byte(body)), nil
}

func (s *shelf) Put(_ context.Context, key string, body []byte, tag string) (string, error) {
	s.count(&s.puts)
	if err := s.before(key); err != nil {
		return "", err
	}
	if err := s.put(key, body, tag); err != nil {
		return "", err
	}
	return contentTag(body), s.after(key)
}

func (s *shelf) count(calls *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*calls++
}

func (s *shelf) put(key string, body []byte, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := ""
	if there, ok := s.objects[key]; ok {
		current = contentTag([]byte(there))
	}
	if current != tag {
		return fmt.Errorf("put %s: %w", key, ErrConflict)
	}
	s.objects[key] = string(body)
	return nil
}

func (s *shelf) List(_ context.Context, prefix, after string, limit int) (keys []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(key, prefix) && key > after && len(keys) < limit {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// once returns a function that does something the first time that it is called for that key.
func once(key string, do func() error) func(string) error {
	done := false
	return func(k string) error {
		if done || k != key {
			return nil
		}
		done = true
		return do()
	}
}
