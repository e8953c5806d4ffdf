package ledger

import (
	"slices"
	"time"

	"livekit-recorder/shared/command"
)

// Entry is what is wanted of one participant of one room, and who fulfils it. It changes by the pure functions below
// only, and is written with conditional PUTs only.
//
// What came first is decided by session ids where there are any, and otherwise by one clock: the function's, when it
// received a command. The clocks of LiveKit and of recorders decide nothing.
type Entry struct {
	Room        string `json:"room"`
	Participant string `json:"participant"`
	// StoppedAt is the newest stop for everything of this participant: starts requested before it are void.
	StoppedAt time.Time `json:"stoppedAt,omitzero"`
	// Left has the sessions that have ended, and when: starts that speak of one of them are void.
	Left map[string]time.Time `json:"left,omitempty"`
	// Stopped has the stops of single recordings that are not claimed (yet).
	Stopped map[string]time.Time `json:"stopped,omitempty"`
	// Claims has every recording that was ever claimed and is not over, by its id: also those that are not wanted any
	// more, for somebody has to bring them to their end.
	Claims map[string]Claim `json:"claims,omitempty"`
	// Over has the recordings that have come to their end, by id.
	Over map[string]Ended `json:"over,omitempty"`
	// Answered has the sessions whose starts have been answered, whatever the answer was, and when the first of these
	// starts was requested. Another start for the same session and target is a webhook that was repeated.
	Answered map[string]time.Time `json:"answered,omitempty"`
	// Trials are the attempts at recordings of which nobody has said that they have ended without harm, by recording.
	Trials map[string][]Trial `json:"trials,omitempty"`
}

// answeredKey is the name in [Entry.Answered] of what a start asks for; empty for a start without a session, which is
// never a repetition.
func answeredKey(c command.Command) string {
	if c.Session == "" {
		return ""
	}
	return c.Session + " " + c.Target()
}

// Claim is a recording that is not over, and the recorder that has it.
type Claim struct {
	Target string `json:"target"` // [command.Command.Target]
	// Starts are those that the recording has answered: its own, and behind it those that came while it was running.
	// Stops from before one of them do not end it. Of those behind its own, the [maxAsked] that were requested last are
	// kept: they decide about stops. What is forgotten is when earlier ones were requested, so that a webhook of such a
	// session that comes behind its repetition changes nothing any more.
	Starts []Asked `json:"starts"`
	// Sessions are those that the recording is wanted for, as far as they are known and have not ended; of more than
	// [maxAsked], the newest. When one ends that is forgotten, the recording goes on for the newer ones.
	Sessions []string `json:"sessions,omitempty"`
	// Owner is the name of the recorder that has the recording, Attempt the one of its attempts at it.
	Owner   string `json:"owner"`
	Attempt string `json:"attempt"`
	// Epoch is the number of the owner's attempt. It is the fencing token, and part of the names of the owner's media
	// files. Issued is the highest number that anybody has got.
	Epoch  int `json:"epoch"`
	Issued int `json:"issued"`
	// Message is the SQS message that the owner holds.
	Message string `json:"message,omitempty"`
	// StoppedAt says that the recording is no longer wanted. Departed says that this is because the participant left.
	StoppedAt time.Time `json:"stoppedAt,omitzero"`
	Departed  bool      `json:"departed,omitempty"`
	// Refused is why it is not wanted any more, if nobody asked for that.
	Refused string `json:"refused,omitempty"`
	// Began is when the first frame of the whole recording came, by the clock of the recorder that received it.
	Began time.Time `json:"began,omitzero"`
}

// Ended is what is remembered of a recording that is over.
type Ended struct {
	Target string    `json:"target"`
	Issued int       `json:"issued"`
	At     time.Time `json:"at"`
}

// Wanted says that the recording should be running.
func (c Claim) Wanted() bool { return c.StoppedAt.IsZero() }

// keepEnded is how long departures, early stops, ended recordings and answered sessions are remembered: as long as a
// start can be on its way. The queue keeps messages for a day, and a webhook can be repeated until its token expires,
// some minutes after it was sent.
const keepEnded = 25 * time.Hour

// maxEnded bounds each list of them.
const maxEnded = 500

// ApplyGiveUp is [Entry.ApplyStop] of one recording for a reason that nobody asked for.
func (e Entry) ApplyGiveUp(c command.Command, reason string) (Entry, []string) {
	next, ended := e.ApplyStop(c)
	for _, id := range ended {
		claim := next.Claims[id]
		claim.Refused = reason
		next.Claims[id] = claim
	}
	return next, ended
}

// ApplyStop returns the entry after a stop, and the ids of the claims that it ends. That a connection was lost ends
// none: the owner of the recording sees for itself that the participant is away, and for how long.
func (e Entry) ApplyStop(c command.Command) (Entry, []string) {
	next := e.clone()
	var ended []string
	for id, claim := range e.Claims {
		if c.Recording == "" && c.Session != "" {
			claim.Sessions = without(claim.Sessions, c.Session)
		}
		if claim.Wanted() && !c.Lost && stops(c, id, e.Claims[id], claim.Sessions) {
			claim.StoppedAt, claim.Departed = c.RequestedAt, c.Recording == "" && c.Session != ""
			ended = append(ended, id)
		}
		next.Claims[id] = claim
	}
	slices.Sort(ended)

	_, claimed := e.Claims[c.Recording]
	switch {
	case c.Recording != "" && !claimed:
		next.Stopped[c.Recording] = c.RequestedAt
	case c.Recording != "":
	case c.Session != "":
		next.Left[c.Session] = c.RequestedAt
	case c.RequestedAt.After(e.StoppedAt):
		next.StoppedAt = c.RequestedAt
	}
	next.forget(c.RequestedAt.Add(-keepEnded))
	return next, ended
}

// stops says whether a stop ends a claim: not if it has been started again since. A recording that was begun for a
// webhook's repetition is ended by its own id, and by the one that the webhook itself has been given. A departure ends
// what has been begun for that session, unless another session is left that it is wanted for.
func stops(c command.Command, id string, claim Claim, left []string) bool {
	switch {
	case c.Recording != "":
		return (id == c.Recording || claim.own().Recording == c.Recording) && !claim.askedAgainAfter(c.RequestedAt)
	case c.Session != "":
		return slices.Contains(claim.Sessions, c.Session) && len(left) == 0
	default:
		return !claim.askedAfter(c.RequestedAt)
	}
}

// without returns the sessions but one; the same slice if it is not among them.
func without(sessions []string, session string) []string {
	n := slices.Index(sessions, session)
	if n < 0 {
		return sessions
	}
	return slices.Delete(slices.Clone(sessions), n, n+1)
}

// Seen notes what the owner of a recording has seen: the session that the participant is in, and when the first frame
// came. A session that is known to have ended is none to wait for.
func (e Entry) Seen(recording string, epoch int, session string, began time.Time) Entry {
	claim, ok := e.Claims[recording]
	if !ok || claim.Epoch != epoch {
		return e
	}

	if _, left := e.Left[session]; session != "" && !left {
		claim.Sessions = with(claim.Sessions, session)
	}
	if claim.Began.IsZero() {
		claim.Began = began
	}
	next := e.clone()
	next.Claims[recording] = claim
	return next
}

// Closing is what comes of bringing a recording to its end.
type Closing string

// The closings.
const (
	Closed      Closing = "closed"       // it is over
	WantedAgain Closing = "wanted again" // the participant is in a session that the owner had not heard of
	NotOurs     Closing = "not ours"     // another recorder has it
)

// ApplyClose notes that the owner has brought a recording to its end. Known are the sessions that the owner knew of
// when it found the participant gone: a recording that is wanted for another one by then goes on. Nil: it ends in any
// case.
func (e Entry) ApplyClose(recording string, epoch int, known []string, at time.Time) (Entry, Closing) {
	claim, ok := e.Claims[recording]
	unknown := func(session string) bool { return !slices.Contains(known, session) }
	switch {
	case !ok:
		return e, Closed // by somebody else, or by us: the answer got lost
	case claim.Epoch != epoch:
		return e, NotOurs
	case known != nil && claim.Wanted() && slices.ContainsFunc(claim.Sessions, unknown):
		return e, WantedAgain
	}

	next := e.clone()
	delete(next.Claims, recording)
	delete(next.Trials, recording)
	next.Over[recording] = Ended{Target: claim.Target, Issued: claim.Issued, At: at}
	next.forget(time.Time{})
	return next, Closed
}

// Standing is what a recorder has of a recording at the moment.
type Standing struct {
	Holding  Holding
	Sessions []string // that the recording is wanted for, as far as they are known
	Message  string   // that its owner holds
	Refused  string   // why it is not wanted any more, if nobody asked for that
	Unwanted bool     // nobody is to record it any more, also if another recorder has it
}

// Holding says whether a recorder still has a recording, and whether it is wanted.
type Holding string

// The holdings.
const (
	Wanted   Holding = "wanted"   // go on
	Stopped  Holding = "stopped"  // close it: somebody asked for that
	Departed Holding = "departed" // close it: the participant has left
	Lost     Holding = "lost"     // let go of it: another recorder has it, or has brought it to its end
)

// Standing says what a recorder that got a recording with that epoch has of it now.
func (e Entry) Standing(recording string, epoch int) Standing {
	claim, ok := e.Claims[recording]
	s := Standing{
		Holding:  Stopped,
		Sessions: claim.Sessions,
		Message:  claim.Message,
		Refused:  claim.Refused,
		Unwanted: !ok || !claim.Wanted(),
	}
	switch {
	case !ok || claim.Epoch != epoch:
		s.Holding = Lost
	case claim.Wanted():
		s.Holding = Wanted
	case claim.Departed:
		s.Holding = Departed
	}
	return s
}

func (e Entry) clone() Entry {
	next := e
	next.Left, next.Stopped = copyOf(e.Left), copyOf(e.Stopped)
	next.Claims, next.Over, next.Answered = copyOf(e.Claims), copyOf(e.Over), copyOf(e.Answered)
	next.Trials = copyOf(e.Trials)
	return next
}

func copyOf[V any](m map[string]V) map[string]V {
	next := make(map[string]V, len(m)+1)
	for k, v := range m {
		next[k] = v
	}
	return next
}

// forget drops what is from before a time, and the oldest of what is too much.
func (e Entry) forget(before time.Time) {
	self := func(at time.Time) time.Time { return at }
	forget(e.Left, before, self)
	forget(e.Stopped, before, self)
	forget(e.Answered, before, self)
	forget(e.Over, before, func(o Ended) time.Time { return o.At })
	e.forgetTrials(before)
}

func forget[V any](m map[string]V, before time.Time, at func(V) time.Time) {
	for k, v := range m {
		if at(v).Before(before) {
			delete(m, k)
		}
	}
	for len(m) > maxEnded {
		oldest := ""
		for k, v := range m {
			if oldest == "" || at(v).Before(at(m[oldest])) {
				oldest = k
			}
		}
		delete(m, oldest)
	}
}
