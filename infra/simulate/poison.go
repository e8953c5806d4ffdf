package simulate

import (
	"time"

	"livekit-recorder/shared/document"
)

const (
	// deadlyAfter is how long a recorder lives after it has got a deadly frame, restartAfter how long its machine needs
	// then until another one runs.
	deadlyAfter  = time.Second
	restartAfter = 20 * time.Second
	// maxKilled is how many recorders one person's recording may kill before it is refused (shared/ledger/trials.go), and
	// one more before the first has claimed it.
	maxKilled = 9
)

// poisoned is what happens to a recorder that has got a deadly frame. The server's lock is held.
func (f *fleet) poisoned(p *process, by *person) {
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	if f.dying[p.name] {
		return
	}
	if f.dying == nil {
		f.dying, f.killed = map[string]bool{}, map[string]int{}
	}
	f.dying[p.name] = true
	f.killed[by.identity]++

	for _, h := range f.hosts {
		if h.name == p.host {
			time.AfterFunc(deadlyAfter, func() {
				f.kill(h)
				time.AfterFunc(restartAfter, func() { f.boot(h, false) })
			})
		}
	}
}

// checkPoison sees that what kills recorders is refused before it has killed too many.
// Nobody else is.
func (f *fleet) checkPoison(e evidence) {
	for id, r := range e.documents {
		if r.Reason == document.ReasonDeadly && f.killed[r.Participant] == 0 {
			f.violate("poison-is-refused", "%s of %s is refused, who has killed nobody", id, r.Participant)
		}
	}
	for who, n := range f.killed {
		if n > maxKilled {
			f.violate("poison-is-refused", "%d recorders died of recording %s", n, who)
		}
	}
}
