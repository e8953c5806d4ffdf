package room

import "sync"

// maxAgain is how many functions may wait that came by [mailbox.postAgain]. Of more, the newest are left out: a bot
// that gets to none of them looks around in its room afterwards anyway, and a mute only says why frames were missing.
const maxAgain = 1024

// mailbox has the functions that a bot's goroutine is to run.
type mailbox struct {
	wake chan struct{} // has an item when something has come

	mu      sync.Mutex // guards:
	waiting []func()
	again   map[string]int // where those wait that came by postAgain
	closed  bool
}

func newMailbox() mailbox { return mailbox{wake: make(chan struct{}, 1), again: map[string]int{}} }

// post adds a function, unless the mailbox is closed: then it returns false.
func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add(f)
}

// postAgain adds a function, in place of the one that waits already for the same matter: it says all that the other one
// would. However often something happens in a room, no more waits than there are matters.
func (m *mailbox) postAgain(matter string, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, waits := m.again[matter]; waits {
		m.waiting[n] = f
		return
	}
	if len(m.again) < maxAgain && m.add(f) {
		m.again[matter] = len(m.waiting) - 1
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
	m.waiting = nil
	clear(m.again)
	return waiting
}

// close returns the same, for the last time.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	return m.take()
}
