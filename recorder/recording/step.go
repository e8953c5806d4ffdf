package recording

import (
	"slices"
	"time"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Reasons why a recording ended or failed, as documents have them.
const (
	reasonLeft        = "the participant left"
	reasonStopped     = "stopped on request"
	reasonRoomClosed  = "the room was closed"
	reasonMaximum     = "the maximum duration was reached"
	reasonWriting     = "files could not be written, again and again"
	reasonSpace       = "the scratch space is used up: files cannot be stored as fast as they grow"
	reasonUnreachable = "LiveKit could not be reached"
	reasonHandedOver  = "handed over to another recorder"
	reasonLost        = "another recorder has taken the recording over"
	reasonVoid        = "stopped before it began"
	reasonDuplicate   = "already being recorded as "
)

// maxOwners is how many recorders, or attempts of them, may give a recording back because its files cannot be written.
const maxOwners = 10

// begin is the beginning of every recording, for a session if the start speaks of one.
func begin(p Policy, session string) (State, []Effect) {
	s := State{Phase: Waiting, Presence: NeverSeen}
	if session != "" {
		s.Sessions = []string{session}
	}
	return s, []Effect{Look{}, Arm{HeadStartTimer, p.HeadStart}}
}

// step says what an event makes of a state, and what is to be done then. It is pure. An event that means nothing in a
// state changes nothing.
func step(p Policy, s State, e Event) (State, []Effect) {
	m := &move{policy: p, state: s}
	m.observe(e)
	switch m.state.Phase {
	case Waiting, Unnamed:
		m.beforeGrant(e)
	case Recording:
		m.recording(e)
	case HandingOver, Superseded:
		m.untilSuccessor(e)
	case Closing:
		m.closing(e)
	case Concluding:
		m.concluding(e)
	}
	return m.state, m.effects
}

// move is one step in the making.
type move struct {
	policy  Policy
	state   State
	effects []Effect
}

func (m *move) do(effects ...Effect) { m.effects = append(m.effects, effects...) }

// live says that the recording is not about to end: whoever comes is recorded.
func (m *move) live() bool {
	return m.state.Ending.Outcome == "" && m.state.Phase != Closing && m.state.Phase != Concluding && m.state.Phase != Over
}

// running says that something would be lost if this recorder ended now.
func (m *move) running() bool { return m.state.Recorded() && m.state.Presence == Present }

// observe notes what is seen in the room, whatever the phase.
func (m *move) observe(e Event) {
	if !m.live() {
		return
	}
	switch e := e.(type) {
	case InRoom:
		m.state.Connected = true
		m.do(Disarm{ConnectTimer}, Disarm{OutageTimer})
		m.awaitParticipant()
		if m.absent() {
			m.do(Arm{RestTimer, restAfter})
		}
	case OutOfRoom:
		if !m.state.Connected {
			return // has not been there yet: another timer runs
		}
		m.state.Connected = false
		if m.state.Presence == Present {
			m.state.Presence = Away
		}
		// Whether the participant is away cannot be known meanwhile.
		m.do(Disarm{AbsenceTimer}, Arm{OutageTimer, m.policy.RejoinWindow})
	case Joined:
		if m.absent() {
			m.do(Disarm{RestTimer}, Wake{})
		}
		m.state.Presence = Present
		m.know(e.Session)
		m.do(Disarm{AbsenceTimer})
	case Left:
		m.state.Presence = Away
		m.awaitParticipant()
	case FirstFrame:
		m.firstFrame()
	case CannotRecord:
		m.state.Unrecordable = e.MIME
	}
}

// absent says that nobody has been there yet, at any recorder.
func (m *move) absent() bool { return m.state.Presence == NeverSeen && !m.state.Began }

func (m *move) firstFrame() {
	m.state.Heard = true
	if !m.state.Began {
		m.state.Began = true
		m.limit(0)
	}
}

// limit sees to the recording's longest duration, of which some has passed.
func (m *move) limit(elapsed time.Duration) {
	if m.policy.MaxDuration > 0 {
		m.do(Arm{MaximumTimer, max(0, m.policy.MaxDuration-elapsed)})
	}
}

// awaitParticipant gives the participant time to come, or to come back.
func (m *move) awaitParticipant() {
	switch {
	case m.state.Presence == Present || !m.state.Connected:
	case m.state.Presence == Away || m.state.Began:
		m.do(Arm{AbsenceTimer, m.policy.RejoinWindow})
	default:
		m.do(Arm{AbsenceTimer, m.policy.StartTimeout})
	}
}

// know notes sessions of the participant, and says whether one of them is new.
func (m *move) know(sessions ...string) (news bool) {
	for _, session := range sessions {
		if !slices.Contains(m.state.Sessions, session) {
			m.state.Sessions = append(slices.Clone(m.state.Sessions), session)
			news = true
		}
	}
	m.state.Sessions = m.state.Sessions[max(0, len(m.state.Sessions)-maxSessions):]
	return news
}

// maxSessions is how many sessions are remembered, the newest ones. It is more than the ledger remembers: what is known
// from there is no news each time.
const maxSessions = 250

// beforeGrant is what happens while the bucket has not said yet whose the recording is.
func (m *move) beforeGrant(e Event) {
	switch e := e.(type) {
	case Looked:
		m.looked(e)
	case InRoom:
		if m.state.Verdict == ledger.Record {
			m.do(Bid{})
		}
	case Granted:
		m.granted(e)
	case BidFailed:
		m.do(CloseParts{})
		m.end(TryAgain)
	case Relinquish:
		m.relinquishUnnamed()
	case TimerFired:
		m.timerBeforeGrant(e.Timer)
	default:
		m.endings(e)
	}
}

// looked decides whether to bid at once. A recorder that is not in the room yet does not take over what might be
// wanted: another one may be there. What is not wanted needs no room. What has been recorded before the bucket answered
// is not dropped because its recorders may have died of it.
func (m *move) looked(e Looked) {
	v := e.Grant.Verdict
	m.state.Verdict = v
	switch {
	case e.Elsewhere && !m.state.Recorded():
		m.drop(Elsewhere)
	case v != ledger.Record || m.state.Connected:
		m.do(Disarm{ConnectTimer}, Bid{})
	case m.state.Phase == Waiting:
		m.enter()
	}
}

// enter begins to get into the room.
func (m *move) enter() { m.do(Join{}, Arm{ConnectTimer, m.policy.Connect}) }

func (m *move) timerBeforeGrant(t Timer) {
	switch {
	case t == HeadStartTimer && m.state.Phase == Waiting:
		m.state.Phase = Unnamed
		if m.state.Verdict == "" {
			m.enter()
		}
	case t == ConnectTimer && !m.state.Connected, t == OutageTimer && !m.state.Recorded():
		m.drop(TryAgain)
	default:
		m.timer(t)
	}
}

// drop ends a hold of which nothing has come.
func (m *move) drop(how Outcome) {
	m.do(Leave{}, Discard{})
	m.end(how)
}

// relinquishUnnamed offers what could not be asked for yet. From now on this recorder only wants names for what it has.
func (m *move) relinquishUnnamed() {
	if !m.state.Recorded() {
		m.drop(Offered)
		return
	}

	if m.policy.HandOver == 0 || !m.running() {
		m.handBack(reasonHandedOver)
		return
	}
	m.state.Leaving = true
	m.do(Mark{}, Offer{}, Bid{})
	m.state.Phase = HandingOver
	m.do(Arm{PatienceTimer, m.policy.HandOver})
}

// granted does what the bucket says.
func (m *move) granted(e Granted) {
	m.state.Verdict = e.Grant.Verdict
	switch {
	case m.state.Verdict.Refused() && m.state.Recorded():
		m.do(Bid{}) // something has come since it was asked
		return
	case m.state.Verdict.Refused():
		m.refused(e.Grant)
		return
	}

	m.state.Epoch = e.Grant.Epoch
	if m.know(e.Grant.Sessions...) && m.state.Ending.Gone && m.state.Verdict == ledger.Record && !m.state.Leaving {
		m.goOn() // they have come back since they were given up
	}
	m.do(Adopt{e.Grant})
	if e.Grant.Company > 0 {
		m.do(Arm{ObservationTimer, ledger.Observation})
	}
	if m.state.Verdict != ledger.Extra && m.state.Leaving {
		// Nobody else has it: whoever got the start that was offered may have been told then that it is not wanted.
		m.do(Offer{})
	}
	if e.Elapsed > 0 {
		m.state.Began = true
		m.limit(e.Elapsed)
	}

	switch {
	case m.state.Ending.Outcome != "":
		switch {
		case m.state.Verdict == ledger.Extra && m.state.Ending.Outcome == Done:
			m.state.Ending = Ending{Outcome: LeftToOwner, Reason: reasonLost}
		case m.state.Verdict == ledger.Close: // nobody else will
			m.state.Ending = Ending{Outcome: Done, Reason: stopReason(e.Grant.Departed, e.Grant.Refused)}
		}
		m.do(CloseParts{})
		m.store()
	case m.state.Verdict == ledger.Close:
		m.close(Ending{Outcome: Done, Reason: stopReason(e.Grant.Departed, e.Grant.Refused)})
	case m.state.Leaving:
		m.do(Watch{Fast: true})
	default:
		m.state.Phase = Recording
		m.do(Watch{}, Recover{})
		if !m.state.Connected { // it was not wanted when it was looked at, and what is not wanted needs no room
			m.do(Join{}, Arm{OutageTimer, m.policy.RejoinWindow})
		}
		m.awaitParticipant()
	}
}

func (m *move) refused(g ledger.Grant) {
	m.state.Phase, m.state.Ending = Concluding, Ending{Outcome: Refused}
	m.do(Leave{}, Discard{})
	switch g.Verdict {
	case ledger.Over:
		m.state.Ending.Outcome = Done
		m.do(Tell{}) // the message is still there: whoever had it may not have come to that
	case ledger.Duplicate:
		m.do(Dismiss{reasonDuplicate + g.Current})
	default:
		m.do(Dismiss{reasonVoid})
	}
}

func stopReason(departed bool, refused string) string {
	switch {
	case refused != "":
		return refused
	case departed:
		return reasonLeft
	}
	return reasonStopped
}

// recording is what happens while the recording is ours, and wanted.
func (m *move) recording(e Event) {
	switch e := e.(type) {
	case Stands:
		m.stands(e.Standing)
	case Relinquish:
		if m.policy.HandOver == 0 || !m.running() {
			m.handBack(reasonHandedOver)
			return
		}
		m.state.Phase, m.state.Leaving = HandingOver, true
		m.do(Mark{}, Offer{}, Watch{Fast: true}, Arm{PatienceTimer, m.policy.HandOver})
	case TimerFired:
		m.timer(e.Timer)
	default:
		m.endings(e)
	}
}

// stands follows what the ledger says.
func (m *move) stands(s ledger.Standing) {
	switch s.Holding {
	case ledger.Wanted:
		if m.know(s.Sessions...) {
			m.awaitParticipant() // is about to come, or back already
		}
	case ledger.Stopped, ledger.Departed:
		m.close(Ending{Outcome: Done, Reason: stopReason(s.Holding == ledger.Departed, s.Refused)})
	case ledger.Lost:
		if !m.running() {
			m.close(Ending{Outcome: LeftToOwner, Reason: reasonLost})
			return
		}
		m.state.Phase = Superseded
		m.do(Mark{}, Watch{Fast: true}, Arm{PatienceTimer, supersededPatience})
	}
}

// endings are the events that end a recording wherever it is.
func (m *move) endings(e Event) {
	switch e.(type) {
	case RoomClosed:
		if m.state.Presence == Present { // the server closes rooms that stay empty, which ends nothing
			m.close(m.ending(reasonRoomClosed, true))
		}
	case PartsFail: // another recorder's disk may be better, unless many have tried
		if m.state.Epoch < maxOwners {
			m.handBack(reasonWriting)
			return
		}
		m.close(m.ending(reasonWriting, false))
	case TooManyParts: // every recorder would see the same
		m.close(m.ending(document.ReasonUnsteady, false))
	case SpaceUsedUp: // no end either: another recorder may have space
		m.handBack(reasonSpace)
	}
}

// handBack ends the recording here, so that another recorder goes on with it: at once, for it may take long until what
// there is here can be stored.
func (m *move) handBack(reason string) {
	m.state.Leaving = true
	m.do(Mark{}, Offer{})
	if m.state.Epoch == 0 {
		m.do(Bid{})
	}
	m.close(Ending{Outcome: Offered, Reason: reason})
}

func (m *move) timer(t Timer) {
	switch t {
	case AbsenceTimer:
		reason := reasonLeft
		if m.state.Presence == NeverSeen && !m.state.Began {
			reason = document.ReasonNotJoined
		}
		m.close(m.ending(reason, true))
	case MaximumTimer:
		m.exceeded(t)
		m.close(m.ending(reasonMaximum, false))
	case RestTimer:
		if m.absent() {
			m.do(Rest{})
		}
	case ObservationTimer:
		m.do(Clear{})
	case OutageTimer: // never the recording's end: another recorder may reach LiveKit
		m.handBack(reasonUnreachable)
	case PatienceTimer:
		m.close(m.ending("", false))
	}
}

// ending is how it ends here: for good, unless it has been offered, or another recorder has it.
func (m *move) ending(reason string, gone bool) Ending {
	switch m.state.Phase {
	case HandingOver:
		return Ending{Outcome: Offered, Reason: reasonHandedOver}
	case Superseded:
		return Ending{Outcome: LeftToOwner, Reason: reasonLost}
	}
	return Ending{Outcome: Done, Reason: reason, Gone: gone}
}

// untilSuccessor is what happens while the recording goes on only until another recorder's part runs.
func (m *move) untilSuccessor(e Event) {
	switch e := e.(type) {
	case Granted:
		m.granted(e)
	case Stands:
		if e.Standing.Holding == ledger.Stopped || e.Standing.Holding == ledger.Departed {
			m.close(m.ending("", false))
		}
	case SuccessorRuns:
		m.close(m.ending("", false))
	case BidFailed:
		m.do(CloseParts{})
		m.end(Offered)
	case TimerFired:
		m.timer(e.Timer)
	default:
		m.endings(e)
	}
}

// close ends the recording. What has been recorded is stored, as soon as it has a name.
func (m *move) close(how Ending) {
	if m.state.Ending.Outcome != "" {
		return // decided already
	}
	m.state.Ending = how
	for _, t := range []Timer{AbsenceTimer, OutageTimer, PatienceTimer, RestTimer} {
		m.do(Disarm{t})
	}
	m.do(CloseParts{Linger: how.Reason == reasonLeft})
	if m.state.Epoch > 0 {
		m.store()
	}
}

// store waits until everything is stored; of a recording that ends for good also what others have left.
func (m *move) store() {
	m.state.Phase, m.state.Pending = Closing, PartsPending
	if m.state.Ending.Outcome == Done {
		m.state.Pending |= RecoveryPending
		m.do(Recover{Unlisted: m.state.Epoch > 1})
	}
}

func (m *move) closing(e Event) {
	switch e := e.(type) {
	case PartsStored:
		m.state.Pending &^= PartsPending
	case Recovered:
		m.state.Pending &^= RecoveryPending
	case Stands:
		if e.Standing.Holding != ledger.Lost || m.state.Ending.Outcome != Done {
			return
		}
		m.state.Ending = Ending{Outcome: LeftToOwner, Reason: reasonLost}
		m.state.Pending &^= RecoveryPending // is the other one's to do
	case TimerFired:
		m.exceeded(e.Timer)
		return
	default:
		return
	}
	if m.state.Pending > 0 {
		return
	}

	m.state.Phase = Concluding
	if m.state.Ending.Outcome == Done {
		m.do(Conclude{})
	} else {
		m.do(Yield{})
	}
}

func (m *move) concluding(e Event) {
	switch e := e.(type) {
	case Concluded:
		m.concluded(e.Closing)
	case Unfinished:
		m.state.Phase, m.state.Pending = Closing, RecoveryPending
		m.do(Recover{Own: true, Unlisted: true})
	case Yielded, Told, Dismissed:
		m.end(m.state.Ending.Outcome)
	case TimerFired:
		m.exceeded(e.Timer)
	}
}

// exceeded notes that the longest duration has passed while the recording was about to end: then it does not go on.
func (m *move) exceeded(t Timer) {
	if t == MaximumTimer {
		m.state.Ending.Gone = false
	}
}

// goOn takes back that the recording ends because the participant was gone: they are in another session.
func (m *move) goOn() {
	m.state.Ending, m.state.Connected = Ending{}, false
	if m.state.Presence == Present {
		m.state.Presence = Away
	}
}

func (m *move) concluded(c ledger.Closing) {
	switch c {
	case ledger.Closed:
		m.do(Tell{})
	case ledger.NotOurs:
		m.state.Ending = Ending{Outcome: LeftToOwner, Reason: reasonLost}
		m.do(Yield{})
	case ledger.WantedAgain:
		exceeded := !m.state.Ending.Gone
		m.goOn()
		m.state.Phase = Recording
		m.do(Join{}, Watch{}, Arm{OutageTimer, m.policy.RejoinWindow})
		if exceeded {
			m.do(Arm{MaximumTimer, 0})
		}
	}
}

func (m *move) end(how Outcome) {
	m.state.Phase = Over
	m.state.Ending.Outcome = how
	m.do(End{how})
}
