package room

import "sync"

// mailbox has the functions that a bot's goroutine is to run.
type mailbox struct {
	wake chan struct{} // has an item when something has come

	mu      sync.Mutex // guards:
	waiting []func()
	once    bool // one of them came by postOnce
	closed  bool
}

func newMailbox() mailbox { return mailbox{wake: make(chan struct{}, 1)} }

// post adds a function, unless the mailbox is closed: then it returns false.
func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add(f)
}

// postOnce adds a function, unless one waits already that came this way: there is only one whose being run twice would
// be the same as once.
func (m *mailbox) postOnce(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.once {
		m.once = m.add(f)
	}
}

func (m *mailbox) add(f func()) bool {
	if m.closed {
		return false
	}
	m.waiting = append(m.waiting, f)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns what has come since, in order.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()

	waiting := m.waiting
	m.waiting, m.once = nil, false
	return waiting
}

// close returns the same, for the last time.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	return m.take()
}
