package worker

import "sync"

// waitingPerPlace is how many starts may wait for somebody for each recording that a worker can have.
const waitingPerPlace = 4

// places are those of the recordings that a worker has at once. A start that waits for somebody who is not there takes
// none of them from those who are: starts for many who never come would fill every recorder otherwise.
type places struct {
	taken   chan struct{} // has an item for each recording
	waiting chan struct{} // and for each start that only waits

	mu      sync.Mutex // guards:
	held    map[*place]*admission
	changed chan struct{} // closed when something of that has changed
}

func newPlaces(most int) *places {
	return &places{
		taken:   make(chan struct{}, most),
		waiting: make(chan struct{}, waitingPerPlace*most),
		held:    map[*place]*admission{},
		changed: make(chan struct{}),
	}
}

// free is how many places there are.
func (p *places) free() int { return cap(p.taken) - len(p.taken) }

// take takes one, if there is one.
func (p *places) take() (*place, bool) {
	if p.closed() {
		return nil, false
	}
	select {
	case p.taken <- struct{}{}:
		taken := &place{all: p}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held[taken] = &admission{}
		return taken, true
	default:
		return nil, false
	}
}

// place is the one that a start has.
type place struct {
	all *places

	mu    sync.Mutex
	rests bool // it only waits
	left  bool
}

// rest gives the place up, unless too many wait already.
func (p *place) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rests || p.left {
		return
	}
	select {
	case p.all.waiting <- struct{}{}:
		p.rests = true
		<-p.all.taken
	default:
	}
}

// wake takes a place again, if there is one.
func (p *place) wake() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.rests || p.left {
		return !p.left
	}
	select {
	case p.all.taken <- struct{}{}:
		p.rests = false
		<-p.all.waiting
		return true
	default:
		return false
	}
}

// leave gives the place up for good.
func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	p.all.forget(p)
	if p.rests {
		<-p.all.waiting
	} else {
		<-p.all.taken
	}
}
