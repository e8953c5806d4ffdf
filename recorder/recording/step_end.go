package recording

import "livekit-recorder/shared/ledger"

func stopReason(departed bool, refused string) string {
	switch {
	case refused != "":
		return refused
	case departed:
		return reasonLeft
	}
	return reasonStopped
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
		if e.Standing.Unwanted {
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
		m.timerAtTheEnd(e.Timer)
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
		m.timerAtTheEnd(e.Timer)
	}
}

// timerAtTheEnd is for timers that run while the recording is about to end.
func (m *move) timerAtTheEnd(t Timer) {
	if t == ObservationTimer { // it may take long, or go on, and its recorder takes nothing else until then
		m.do(Clear{})
	}
	m.exceeded(t)
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
