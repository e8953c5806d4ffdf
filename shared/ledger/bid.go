package ledger

import (
	"slices"
	"time"

	"livekit-recorder/shared/command"
)

// Verdict is what a recorder is to do about a start.
type Verdict string

// The verdicts.
const (
	Record    Verdict = "record"    // it is this recorder's: record, or go on with what another one had begun
	Close     Verdict = "close"     // it is this recorder's, and not wanted any more: bring it to its end
	Extra     Verdict = "extra"     // it is another recorder's: what has been recorded here is kept beside its parts
	Duplicate Verdict = "duplicate" // the same is being recorded already
	Void      Verdict = "void"      // stopped before it began
	Over      Verdict = "over"      // it has come to its end
)

// Refused says that the recorder has nothing to record.
func (v Verdict) Refused() bool { return v == Duplicate || v == Void || v == Over }

// Bid is a recorder's asking for a recording.
type Bid struct {
	Start   command.Command
	Owner   string // the recorder
	Attempt string // different for every attempt that ever was
	Message string // that the recorder holds
	// Recorded says that something has been recorded already, while the bucket did not answer: whatever the ledger says,
	// it is kept.
	Recorded bool
	// Leaving says that the recorder has offered the recording to others by now, and must not take it from one of them.
	Leaving bool
	// Alone says that the recorder has nothing else, and will take nothing else for the time being.
	Alone bool
	// At is the recorder's time, of which nothing depends but how long things are remembered.
	At time.Time
}

// Grant is the answer to a bid.
type Grant struct {
	Verdict  Verdict
	Epoch    int
	Current  string // the recording that a duplicate is a duplicate of
	Sessions []string
	Began    time.Time
	Departed bool
	Refused  string // why it is not wanted any more, if nobody asked for that
	// Unaware are recorders that may live, and not know that they have lost this recording, or that another one of the
	// participant is not wanted any more, by recording.
	Unaware map[string]string
	Suspicion
}

// ApplyBid decides what a recorder is to do about a start, and returns the entry after it.
func (e Entry) ApplyBid(b Bid) (Entry, Grant) {
	next, grant := e.applyBid(b)
	return next.judged(b, grant)
}

func (e Entry) applyBid(b Bid) (Entry, Grant) {
	id := b.Start.Recording
	claim, known := e.Claims[id]
	switch {
	case known && claim.Attempt == b.Attempt:
		return e, claim.grant() // given already: only the answer got lost
	case known:
		return e.takeOver(id, claim, b)
	}

	ended, over := e.Over[id]
	if over && !b.Recorded {
		return e, Grant{Verdict: Over}
	}

	_, repeated := e.Answered[answeredKey(b.Start)]
	if repeated {
		e = e.corrected(b.Start)
	}
	verdict, current := e.judge(b.Start)
	if verdict == Duplicate && !over && !repeated {
		e = e.prolong(current, b.Start)
	}
	e = e.answered(b.Start)
	if verdict.Refused() && !b.Recorded {
		return e, Grant{Verdict: verdict, Current: current}
	}

	claim = Claim{
		Target:  b.Start.Target(),
		Starts:  []Asked{asked(b.Start)},
		Owner:   b.Owner,
		Attempt: b.Attempt,
		Epoch:   ended.Issued + 1,
		Issued:  ended.Issued + 1,
		Message: b.Message,
	}
	if session := b.Start.Session; session != "" {
		if _, left := e.Left[session]; !left {
			claim.Sessions = []string{session}
		}
	}
	if over || verdict.Refused() {
		claim.StoppedAt = b.At
	}
	next := e.clone()
	delete(next.Over, id)
	next.Claims[id] = claim
	grant := claim.grant()
	grant.Unaware = e.stopped()
	return next, grant
}

// stopped are the recordings that are not wanted any more and have not come to their end, and who has them; nil if
// there are none.
func (e Entry) stopped() (owners map[string]string) {
	for id, claim := range e.Claims {
		if claim.Wanted() {
			continue
		}
		if owners == nil {
			owners = map[string]string{}
		}
		owners[id] = claim.Owner
	}
	return owners
}

func (c Claim) grant() Grant {
	g := Grant{
		Verdict:  Record,
		Epoch:    c.Epoch,
		Sessions: c.Sessions,
		Began:    c.Began,
		Departed: c.Departed,
		Refused:  c.Refused,
	}
	if !c.Wanted() {
		g.Verdict = Close
	}
	return g
}

// takeOver gives a recording to another owner, also one that is not wanted any more: it must still be closed. A
// recorder that is about to leave gets no more than a number for its parts.
func (e Entry) takeOver(id string, claim Claim, b Bid) (Entry, Grant) {
	next := e.clone()
	claim.Issued++
	if b.Leaving {
		next.Claims[id] = claim
		return next, Grant{Verdict: Extra, Epoch: claim.Issued}
	}

	unaware := map[string]string{id: claim.Owner}
	claim.Owner, claim.Attempt, claim.Epoch, claim.Message = b.Owner, b.Attempt, claim.Issued, b.Message
	next.Claims[id] = claim
	grant := claim.grant()
	grant.Unaware = unaware
	return next, grant
}

// judge says what becomes of a start that nobody has claimed yet.
func (e Entry) judge(c command.Command) (v Verdict, current string) {
	_, left := e.Left[c.Session]
	_, stopped := e.Stopped[c.Recording]
	if left && c.Session != "" || stopped || !c.RequestedAt.After(e.StoppedAt) {
		return Void, ""
	}

	for id, claim := range e.Claims {
		if claim.Wanted() && claim.Target == c.Target() {
			return Duplicate, id
		}
	}

	// A webhook that is repeated speaks of a session whose start has been answered already, whatever has become of the
	// recording. That a recording has merely seen the session is no answer: it may have ended for the one before.
	if _, repeated := e.Answered[answeredKey(c)]; repeated {
		return Void, ""
	}
	return Record, ""
}

// answered notes that the start of a session has been answered, and when the first one was requested.
func (e Entry) answered(c command.Command) Entry {
	key := answeredKey(c)
	first, ok := e.Answered[key]
	if key == "" || ok && !c.RequestedAt.Before(first) {
		return e
	}

	next := e.clone()
	next.Answered[key] = c.RequestedAt
	next.forget(time.Time{})
	return next
}

// corrected is for a webhook that comes behind its repetition, which was taken for it. What was begun for that one is
// what the webhook asked for, from when it was received: a stop that was requested between the two ends it.
func (e Entry) corrected(c command.Command) Entry {
	next := e.clone()
	for id, claim := range e.Claims {
		n := slices.IndexFunc(claim.Starts, func(a Asked) bool { return a.Session == c.Session })
		if claim.Target != c.Target() || n < 0 || !c.RequestedAt.Before(claim.Starts[n].At) {
			continue
		}

		claim.Starts = slices.Clone(claim.Starts)
		claim.Starts[n] = asked(c)
		if stopped, ok := e.stoppedBy(claim); ok && claim.Wanted() {
			claim.StoppedAt = stopped
		}
		next.Claims[id] = claim
	}
	return next
}
