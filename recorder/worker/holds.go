package worker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"livekit-recorder/shared/queue"
)

// holds are the batons of a worker.
type holds struct {
	mu       sync.Mutex // guards:
	batons   []*Baton
	draining bool // whatever is held from now on is given up at once

	places atomic.Pointer[places] // nil until the worker runs
}

// take holds a message. It says no if a baton for the same recording is there, which holds it now.
func (h *holds) take(q *queue.Queue, m queue.Message, recording string, p *place) (b *Baton, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batons {
		if b.recording == recording && b.add(m) {
			return b, false
		}
	}

	b = newBaton(q, m, recording, p)
	h.batons = append(h.batons, b)
	if h.draining {
		b.giveUp()
	}
	return b, true
}

// drop ends the holding of a baton.
func (h *holds) drop(b *Baton) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batons = slices.DeleteFunc(h.batons, func(other *Baton) bool { return other == b })
}

// count is how many messages are held.
func (h *holds) count() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batons {
		n += len(b.held())
	}
	return n
}

// drain gives all batons up, and those that are still to come.
func (h *holds) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	for _, b := range h.batons {
		b.giveUp()
	}
}

// receipts are those that must be renewed, with their batons. What has been held for longer than limit is given up.
func (h *holds) receipts(limit time.Duration) map[string]*Baton {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]*Baton{}
	for _, b := range h.batons {
		receipts, old := b.receipts(limit)
		for _, receipt := range receipts {
			all[receipt] = b
		}
		if old {
			b.giveUp()
		}
	}
	return all
}

// renewed tells all batons what the queue has said at a time of their receipts.
func (h *holds) renewed(at time.Time, answers map[string]error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.batons {
		b.renewed(at, answers)
	}
}
