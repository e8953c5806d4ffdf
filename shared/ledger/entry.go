package ledger

import (
	"time"

	"livekit-recorder/shared/command"
)

// Entry is the newest wish for one participant of one room, and who fulfils it: a last-writer-wins register by the time
// at which things were requested, which makes the order of arrival harmless. It changes by the pure functions below
// only, and is written with conditional PUTs only.
type Entry struct {
	Room        string `json:"room"`
	Participant string `json:"participant"`
	// StoppedAt is the newest stop for everything of this participant: starts requested before it are void.
	StoppedAt time.Time `json:"stoppedAt,omitzero"`
	// Left has the newest departures, by session: starts that speak of one of these sessions are void.
	Left map[string]time.Time `json:"left,omitempty"`
	// Stopped has the stops of single recordings that arrived before their start did.
	Stopped map[string]time.Time `json:"stopped,omitempty"`
	// Claims has what is recorded of this participant, by [command.Command.Target].
	Claims map[string]Claim `json:"claims,omitempty"`
}

// Claim is one recording that is wanted, or was, and the recorder that has it.
type Claim struct {
	Recording   string    `json:"recording"`
	RequestedAt time.Time `json:"requestedAt"`
	Session     string    `json:"session,omitempty"`
	Owner       string    `json:"owner"`
	// Epoch counts the owners of a recording. It is the fencing token: what a recorder with a lower epoch writes is void.
	Epoch int `json:"epoch"`
	// Message is the SQS message that the owner holds for it.
	Message string `json:"message,omitempty"`
	// StoppedAt says that the recording is no longer wanted; its owner closes it.
	StoppedAt time.Time `json:"stoppedAt,omitzero"`
	// Departed says that it is not wanted because the participant left, not because somebody stopped it.
	Departed bool `json:"departed,omitempty"`
	// Ended says that the owner has closed it.
	Ended bool `json:"ended,omitempty"`
}

// Wanted says that the claim's recording should be running.
func (c Claim) Wanted() bool { return c.StoppedAt.IsZero() && !c.Ended }

// Verdict is what a start command comes to.
type Verdict string

// The verdicts on a start.
const (
	Claimed   Verdict = "claimed"    // record
	TakenOver Verdict = "taken over" // carry on what another recorder had begun
	Duplicate Verdict = "duplicate"  // somebody records that already
	Void      Verdict = "void"       // stopped since, or over
	Over      Verdict = "over"       // somebody records that by now: keep what has been heard before, and end
)

// keepTombstones is how long departures and early stops are remembered: longer than a start can be on its way
// (SQS keeps messages at most 14 days, but webhooks older than 30 s are dropped and stops follow starts closely).
const keepTombstones = 24 * time.Hour

// ApplyStart decides what becomes of a start that has reached recorder owner, and returns the entry after it.
func (e Entry) ApplyStart(c command.Command, owner string) (Entry, Verdict) {
	next := e.clone()
	current, exists := e.Claims[c.Target()]
	if exists && current.Recording == c.Recording {
		if current.Ended {
			return e, Void
		}
		// Its message came back, so its owner is gone. One that has been stopped meanwhile must still be closed.
		current.Owner, current.Epoch, current.Message = owner, current.Epoch+1, c.Message
		next.Claims[c.Target()] = current
		return next, TakenOver
	}
	stopped, departed := e.stopFor(c)
	if !stopped.IsZero() && !heardBefore(c, stopped) {
		return e, Void
	}
	if exists && current.Wanted() {
		if heardBefore(c, current.RequestedAt) {
			return e, Over
		}
		if !stopped.IsZero() {
			return e, Void
		}
		if c.Session != "" && c.Session != current.Session && c.RequestedAt.After(current.RequestedAt) {
			// The participant is back before we heard that they had gone: the departure of the old session
			// must not end the recording.
			current.Session, current.RequestedAt = c.Session, c.RequestedAt
			next.Claims[c.Target()] = current
			return next, Duplicate
		}
		return e, Duplicate
	}
	next.Claims[c.Target()] = Claim{
		Recording: c.Recording, RequestedAt: c.RequestedAt, Session: c.Session, Owner: owner, Epoch: 1, Message: c.Message,
		StoppedAt: stopped, Departed: departed,
	}
	return next, Claimed
}

// heardBefore says whether a start's recorder had been recording before something happened.
func heardBefore(c command.Command, at time.Time) bool {
	return !c.Heard.IsZero() && c.Heard.Before(at)
}

// stopFor is when a start was stopped before it got here, if it was, and whether by a departure.
func (e Entry) stopFor(c command.Command) (at time.Time, departed bool) {
	if at, left := e.Left[c.Session]; c.Session != "" && left {
		return at, true
	}
	if at, stopped := e.Stopped[c.Recording]; stopped {
		return at, false
	}
	if !c.RequestedAt.After(e.StoppedAt) {
		return e.StoppedAt, false
	}
	return time.Time{}, false
}

// ApplyStop returns the entry after a stop, and the claims that it ends. The loss of a session ends none: the owner of
// the recording sees for itself that the participant is away, and for how long.
func (e Entry) ApplyStop(c command.Command) (Entry, []Claim) {
	next := e.clone()
	var ended []Claim
	for target, claim := range e.Claims {
		if !claim.Wanted() || c.Lost || !stops(c, claim) {
			continue
		}
		claim.StoppedAt, claim.Departed = c.RequestedAt, c.Session != ""
		next.Claims[target] = claim
		ended = append(ended, claim)
	}
	switch {
	case c.Recording != "":
		next.Stopped[c.Recording] = c.RequestedAt
	case c.Session != "":
		next.Left[c.Session] = c.RequestedAt
	case c.RequestedAt.After(e.StoppedAt):
		next.StoppedAt = c.RequestedAt
	}
	next.forget(c.RequestedAt.Add(-keepTombstones))
	return next, ended
}

// stops says whether a stop speaks of a claim.
func stops(c command.Command, claim Claim) bool {
	switch {
	case c.Recording != "":
		return claim.Recording == c.Recording
	case c.Session != "" && claim.Session != "":
		return claim.Session == c.Session
	default:
		return c.RequestedAt.After(claim.RequestedAt)
	}
}

// Joined notes the session that a recording found its participant in.
func (e Entry) Joined(target, recording, session string) Entry {
	claim, ok := e.Claims[target]
	if !ok || claim.Recording != recording || claim.Session == session {
		return e
	}
	next := e.clone()
	claim.Session = session
	next.Claims[target] = claim
	return next
}

// Ended notes that the owner has closed a recording for good. Departed is the session whose departure was the reason, or
// empty. It says no if the participant is back in another session by then, whose start was taken for a duplicate: the
// recording is still wanted.
func (e Entry) Ended(target, recording string, epoch int, departed string) (next Entry, ended bool) {
	claim, ok := e.Claims[target]
	if !ok || claim.Recording != recording || claim.Epoch != epoch {
		return e, true
	}
	if departed != "" && claim.Wanted() && claim.Session != "" && claim.Session != departed {
		return e, false
	}
	next = e.clone()
	claim.Ended = true
	next.Claims[target] = claim
	return next, true
}

// Holding is what a recorder has of a recording.
type Holding string

// The holdings.
const (
	Wanted   Holding = "wanted"   // go on
	Stopped  Holding = "stopped"  // close it: somebody asked for that
	Departed Holding = "departed" // close it: the participant has left
	Lost     Holding = "lost"     // let go of it: another recorder has it
)

// Holding says what a recorder that got a recording with that epoch has of it now.
func (e Entry) Holding(target, recording string, epoch int) Holding {
	claim, ok := e.Claims[target]
	switch {
	case !ok || claim.Recording != recording:
		return Stopped // a newer recording of the same target would not have come to be otherwise
	case claim.Epoch != epoch:
		return Lost
	case claim.Wanted():
		return Wanted
	case claim.Departed:
		return Departed
	}
	return Stopped
}

func (e Entry) clone() Entry {
	next := e
	next.Left, next.Stopped = copyOf(e.Left), copyOf(e.Stopped)
	next.Claims = copyOf(e.Claims)
	return next
}

func copyOf[V any](m map[string]V) map[string]V {
	next := make(map[string]V, len(m)+1)
	for k, v := range m {
		next[k] = v
	}
	return next
}

func (e Entry) forget(before time.Time) {
	for _, tombstones := range []map[string]time.Time{e.Left, e.Stopped} {
		for k, at := range tombstones {
			if at.Before(before) {
				delete(tombstones, k)
			}
		}
	}
	for target, claim := range e.Claims {
		if claim.Ended && claim.RequestedAt.Before(before) {
			delete(e.Claims, target)
		}
	}
}
