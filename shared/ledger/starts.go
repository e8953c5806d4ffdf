package ledger

import (
	"slices"
	"time"

	"livekit-recorder/shared/command"
)

// Asked is a start that a recording has answered. Of the starts of one session, the first that was requested counts,
// and of those without a session the newest.
type Asked struct {
	Recording string    `json:"recording"` // what the start would have begun
	Session   string    `json:"session,omitempty"`
	At        time.Time `json:"at"`
}

// maxAsked bounds what is remembered of the starts and sessions of one recording: somebody may reconnect all day, and
// the entry is read again and again.
const maxAsked = 100

// stoppedBy says whether a stop that we have heard of ends a claim.
func (e Entry) stoppedBy(claim Claim) (at time.Time, ok bool) {
	if !claim.askedAfter(e.StoppedAt) {
		return e.StoppedAt, true
	}
	at, ok = e.Stopped[claim.own().Recording]
	return at, ok && !claim.askedAgainAfter(at)
}

// own is the start that the recording was begun for.
func (c Claim) own() (a Asked) {
	if len(c.Starts) > 0 {
		a = c.Starts[0]
	}
	return a
}

func asked(c command.Command) Asked { return Asked{c.Recording, c.Session, c.RequestedAt} }

// askedAfter says whether the recording has been asked for after a time, and askedAgainAfter whether another start
// than its own has.
func (c Claim) askedAfter(at time.Time) bool { return anyAfter(c.Starts, at) }
func (c Claim) askedAgainAfter(at time.Time) bool {
	return anyAfter(c.Starts[min(1, len(c.Starts)):], at)
}

func anyAfter(starts []Asked, at time.Time) bool {
	return slices.ContainsFunc(starts, func(a Asked) bool { return a.At.After(at) })
}

// prolong notes that a recording is wanted for another start, too. The participant may be back before we have heard
// that they had gone: the departure of the old session must not end the recording. Or it has been started again before
// we have heard of the stop before that.
func (e Entry) prolong(id string, c command.Command) Entry {
	claim := e.Claims[id]
	if c.Session != "" {
		claim.Starts = bounded(append(slices.Clone(claim.Starts), asked(c)))
		claim.Sessions = with(claim.Sessions, c.Session)
	} else {
		claim.Starts = withNewest(claim.Starts, asked(c))
	}

	next := e.clone()
	next.Claims[id] = claim
	return next
}

// bounded drops the start that was requested first, of too many behind the recording's own.
func bounded(starts []Asked) []Asked {
	if len(starts) <= 1+maxAsked {
		return starts
	}
	first := 1
	for n := range starts {
		if n > 1 && starts[n].At.Before(starts[first].At) {
			first = n
		}
	}
	return slices.Delete(starts, first, first+1)
}

// with returns the sessions with another one; the same slice if it is among them.
func with(sessions []string, session string) []string {
	if slices.Contains(sessions, session) {
		return sessions
	}
	sessions = append(slices.Clone(sessions), session)
	return sessions[max(0, len(sessions)-maxAsked):]
}

// withNewest returns the starts of a recording with another one that speaks of no session. Of those behind its own
// start, the newest is kept.
func withNewest(starts []Asked, another Asked) []Asked {
	starts = slices.Clone(starts)
	for n := 1; n < len(starts); n++ {
		if starts[n].Session != "" {
			continue
		}
		if another.At.After(starts[n].At) {
			starts[n] = another
		}
		return starts
	}
	return bounded(append(starts, another))
}
