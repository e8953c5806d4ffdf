package recording

import (
	"slices"
	"time"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Reasons why a recording ended or failed, as documents have them; or why this recorder's hold on it ended, as the log
// has them.
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
		if m.idle() {
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
		idle := m.idle()
		m.state.Presence = Present
		m.wake(idle)
		m.know(e.Session)
		m.do(Disarm{AbsenceTimer})
	case Left:
		m.state.Presence = Away
		m.awaitParticipant()
	case FirstFrame:
		m.firstFrame()
	}
}

// idle says that what is waited for has not come yet, at any recorder: the participant, or their screen.
func (m *move) idle() bool {
	return !m.state.Began && (m.state.Presence == NeverSeen || m.policy.Share)
}

// begins notes that its first frame has come, here or at another recorder.
func (m *move) begins() {
	idle := m.idle()
	m.state.Began = true
	m.wake(idle)
}

// wake takes a place again for what was idle, and is so no more.
func (m *move) wake(idle bool) {
	if idle && !m.idle() {
		m.do(Disarm{RestTimer}, Wake{})
	}
}

func (m *move) firstFrame() {
	m.state.Heard = true
	if !m.state.Began {
		m.begins()
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
		if !m.running() || s.Unwanted {
			m.close(Ending{Outcome: LeftToOwner, Reason: reasonLost})
			return
		}
		m.state.Phase = Superseded
		m.do(Mark{}, Watch{Fast: true}, Arm{PatienceTimer, supersededPatience})
	}
}

// endings are the events that end a recording wherever it is.
func (m *move) endings(e Event) {
	switch e := e.(type) {
	case RoomClosed:
		if m.state.Presence == Present { // the server closes rooms that stay empty, which ends nothing
			m.close(m.ending(reasonRoomClosed, true))
		}
	case PartsFail: // another recorder's disk may be better
		if !e.Everywhere {
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
		if m.idle() {
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
