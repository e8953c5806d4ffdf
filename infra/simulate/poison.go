package simulate

import (
	"slices"
	"time"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

const (
	// deadlyAfter is how long a recorder lives after it has got a deadly frame, restartAfter how long its machine needs
	// then until another one runs.
	deadlyAfter  = time.Second
	restartAfter = 20 * time.Second
	// killedFreely is how many recorders one person's recording may kill before it is quarantined
	// (shared/ledger/trials.go), and one more before the first has claimed it.
	killedFreely = 10
	// suspectedFirst is how many of its recorders must have died at least until it is.
	suspectedFirst = 5
	// noticedWithin is how long it may take until another recorder notices that one has died.
	noticedWithin = 45 * time.Second
)

// death is a recorder's.
type death struct {
	at time.Time
	of string // who has killed it, if somebody has
}

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
				f.kill(h, by.identity)
				time.AfterFunc(restartAfter, func() { f.boot(h, false) })
			})
		}
	}
}

// maxKilled is how many recorders what kills them for a while may kill: in quarantine, one after each pause.
func maxKilled(lasts time.Duration) int {
	most := killedFreely
	for n := 2; ; n++ {
		if lasts -= ledger.Pause(n); lasts < 0 {
			return most
		}
		most++
	}
}

// checkPoison sees that what kills recorders kills less and less often.
// That nobody ends by it, and others are recorded, is seen elsewhere.
func (f *fleet) checkPoison(e evidence) {
	lasts := map[string]time.Duration{}
	for _, m := range f.plan.Moves {
		if m.Do == Poison {
			lasts[f.server.names[m.Person%len(f.server.names)]] += seconds(m.Seconds)
		}
	}
	for who, n := range f.killed {
		if most := maxKilled(lasts[who]); n > most {
			f.violate("poison-is-quarantined", "%d recorders died of recording %s, and %d may", n, who, most)
		}
	}
	for id, r := range e.documents {
		if r.Reason == document.ReasonGivenUp {
			f.violate("poison-is-quarantined", "%s of %s is given up", id, r.Participant)
		}
	}
}

// observed says whether somebody who is not suspect may have to wait at a time, because the suspects on a recorder must
// have lived for a while before it takes others: it may be the only one. Seed 110420 had three recorders killed; the
// fourth got all messages 34 seconds after it had been started, and took those who were not suspect 61 seconds later.
func (f *fleet) observed(who string, at time.Time) bool {
	return slices.ContainsFunc(f.journal.away(who), func(away time.Time) bool {
		return at.After(away) && at.Before(away.Add(ledger.Observation+startWithin))
	})
}

// quarantined says whether a person may be in quarantine at a time, by the recorders that have died until then: those
// that they have not killed themselves may have died of something else, but nobody knows.
func (f *fleet) quarantined(who string, at time.Time) bool {
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	var last, again time.Time
	count, alone := 0, 1
	for _, d := range f.deaths {
		if d.of != "" && d.of != who || d.at.Before(last.Add(noticedWithin)) || d.at.Before(again) {
			continue
		}
		last = d.at
		if count++; count < suspectedFirst {
			continue
		}
		alone++
		pause := ledger.Pause(alone)
		again = d.at.Add(noticedWithin + pause)
		if at.After(d.at) && at.Before(again.Add(pause+calmBehind)) {
			return true
		}
	}
	return false
}
