package recording

import "sync"

// mailbox hands items to one goroutine, in order. Posting never waits.
type mailbox[T any] struct {
	// C is readable when there may be something.
	C chan struct{}

	mu    sync.Mutex
	items []T
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{C: make(chan struct{}, 1)} }

func (m *mailbox[T]) post(item T) {
	m.mu.Lock()
	m.items = append(m.items, item)
	m.mu.Unlock()

	select {
	case m.C <- struct{}{}:
	default:
	}
}

// take returns what has been posted since the last time.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}
