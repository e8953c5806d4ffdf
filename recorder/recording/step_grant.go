package recording

import "livekit-recorder/shared/ledger"

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
	if e.Grant.Company > 0 && !e.Elsewhere { // it has been admitted, whatever the bucket says to a bid, and when
		m.do(Arm{ObservationTimer, ledger.Observation})
	}
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
		m.begins()
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
