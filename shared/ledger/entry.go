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

// Asked is a start that a recording has answered. Of the starts of one session, the first that was requested counts,
// and of those without a session the newest.
type Asked struct {
	Recording string    `json:"recording"` // what the start would have begun
	Session   string    `json:"session,omitempty"`
	At        time.Time `json:"at"`
}

// Ended is what is remembered of a recording that is over.
type Ended struct {
	Target string    `json:"target"`
	Issued int       `json:"issued"`
	At     time.Time `json:"at"`
}

// Wanted says that the recording should be running.
func (c Claim) Wanted() bool { return c.StoppedAt.IsZero() }

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
	Suspicion
}

// keepEnded is how long departures, early stops, ended recordings and answered sessions are remembered: as long as a
// start can be on its way. The queue keeps messages for a day, and a webhook can be repeated until its token expires,
// some minutes after it was sent.
const keepEnded = 25 * time.Hour

// maxEnded bounds each list of them.
const maxEnded = 500

// maxAsked bounds what is remembered of the starts and sessions of one recording: somebody may reconnect all day, and
// the entry is read every few seconds.
const maxAsked = 100

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
	return next, claim.grant()
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

	claim.Owner, claim.Attempt, claim.Epoch, claim.Message = b.Owner, b.Attempt, claim.Issued, b.Message
	next.Claims[id] = claim
	return next, claim.grant()
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
	s := Standing{Holding: Stopped, Sessions: claim.Sessions, Message: claim.Message, Refused: claim.Refused}
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
