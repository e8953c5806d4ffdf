package worker

import (
	"time"

	"livekit-recorder/shared/ledger"
)

// suspectsFirst is how long a start that has been received before waits for what has come with it to be looked at: what
// is suspected most is to have the recorder that has nothing else yet. Few are ever free for it.
const suspectsFirst = 500 * time.Millisecond

// admission is what is known of what a place is used for.
type admission struct {
	looked  bool // the ledger has said what it suspects it of
	decided bool // and it has been admitted
	// company is how many suspects may be here together, this one included; 0: it is none.
	company int
	// pause is for how much longer nobody is to try it.
	pause      time.Duration
	turnedAway bool // it may not be carried out here for now, because recorders may have died of it
}

// suspect says that it is here, and this recorder may die of it.
func (a *admission) suspect() bool { return a.decided && a.company > 0 }

// moreSuspectThan says that fewer may be with it.
func (a *admission) moreSuspectThan(other *admission) bool {
	return a.company > 0 && (other.company == 0 || a.company < other.company)
}

// admit says whether a start may be carried out beside what is here. Suspects are together with few others, all of them
// suspects, unless they have waited for that in vain. What else there is must not get to where suspects are. One that
// has been received before lets suspects go first.
func (p *places) admit(of *place, s ledger.Suspicion, again bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.held[of]
	if own == nil {
		return false
	}
	own.looked, own.company, own.pause = true, s.Company, s.Pause
	p.change()
	if again && s.Pause == 0 {
		p.awaitOthers(own)
	}

	own.decided = p.fits(own, s)
	own.turnedAway = !own.decided && s.Company > 0
	p.change()
	return own.decided
}

// fits says whether a start can be beside what is here. The lock is held.
func (p *places) fits(own *admission, s ledger.Suspicion) bool {
	if s.Pause > 0 {
		return false
	}
	suspects, others, most := 1, 0, s.Company
	for _, a := range p.held {
		switch {
		case a == own || !a.decided:
		case a.company == 0:
			others++
		default:
			suspects++
			most = min(most, a.company)
		}
	}
	if s.Company == 0 {
		return suspects == 1 // nobody here is
	}
	return suspects <= most && (others == 0 || s.Mixed)
}

// awaitOthers waits until everything has been looked at, and what is more suspect has been decided, while nothing has
// been admitted yet. The lock is held, but while it waits.
func (p *places) awaitOthers(own *admission) {
	deadline := time.NewTimer(suspectsFirst)
	defer deadline.Stop()
	for {
		waiting := false
		for _, a := range p.held {
			if a.decided {
				return
			}
			waiting = waiting || !a.looked || !a.turnedAway && a.moreSuspectThan(own) // and is about to be decided
		}
		if !waiting {
			return
		}

		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
			p.mu.Lock()
		case <-deadline.C:
			p.mu.Lock()
			return
		}
	}
}

// change tells those who wait that something has changed. The lock is held.
func (p *places) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// alone says whether there is nothing but one suspect, which keeps everything else away.
func (p *places) alone(of *place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.held[of]
	return a != nil && a.suspect() && len(p.held) == 1
}

// clear ends the suspicion.
func (p *places) clear(of *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.held[of]; a != nil {
		a.company = 0
	}
}

// turnedAway says whether a start was not admitted because recorders may have died of it, and how much longer nobody is
// to try it.
func (p *places) turnedAway(of *place) (away bool, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.held[of]; a != nil && a.turnedAway {
		return true, a.pause
	}
	return false, 0
}

// closed says that there is a suspect: nothing else is taken while it may kill this recorder.
func (p *places) closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.held {
		if a.suspect() {
			return true
		}
	}
	return false
}

func (p *places) forget(of *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, of)
	p.change()
}
