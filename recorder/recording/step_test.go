package recording

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

var patient = Policy{
	HeadStart:    time.Second,
	Connect:      15 * time.Second,
	StartTimeout: 5 * time.Minute,
	RejoinWindow: 30 * time.Second,
	MaxDuration:  time.Hour,
	HandOver:     time.Minute,
}

func grant(v ledger.Verdict, epoch int) Granted {
	return Granted{Grant: ledger.Grant{Verdict: v, Epoch: epoch}}
}

func stands(h ledger.Holding, sessions ...string) Stands {
	unwanted := h == ledger.Stopped || h == ledger.Departed
	return Stands{ledger.Standing{Holding: h, Sessions: sessions, Unwanted: unwanted}}
}

// ended says that another recorder has it, and that it is not wanted any more.
var ended = Stands{ledger.Standing{Holding: ledger.Lost, Unwanted: true}}

func fired(t Timer) TimerFired { return TimerFired{t} }

// Ways into the states that the tables below begin in.
var (
	looking     = []Event{Looked{Grant: ledger.Grant{Verdict: ledger.Record}}}
	connected   = then(looking, InRoom{})
	ours        = then(connected, grant(ledger.Record, 1))
	present     = then(ours, Joined{"S1"})
	runs        = then(present, FirstFrame{})
	silent      = []Event{fired(HeadStartTimer)}
	unnamed     = then(silent, InRoom{}, Joined{"S1"}, FirstFrame{})
	handingOver = then(runs, Relinquish{})
	superseded  = then(runs, stands(ledger.Lost))
	closing     = then(runs, stands(ledger.Stopped))
	concluding  = then(closing, PartsStored{}, Recovered{})
	telling     = then(concluding, Concluded{ledger.Closed})
)

// then is what happens next.
func then(before []Event, more ...Event) []Event { return slices.Concat(before, more) }

// play applies events one after the other, and returns the state, and the effects of the last one.
func play(events ...Event) (State, []Effect) {
	s, effects := begin(patient, "S1")
	for _, e := range events {
		s, effects = step(patient, s, e)
	}
	return s, effects
}

// brief names effects in one line, without timers that are stopped.
func brief(effects []Effect) string {
	var names []string
	for _, e := range effects {
		name := strings.TrimPrefix(fmt.Sprintf("%T", e), "recording.")
		switch e := e.(type) {
		case Disarm:
			continue
		case Arm:
			name = fmt.Sprintf("%s in %s", e.Timer, e.After)
		case End:
			name = "end: " + string(e.Outcome)
		case Dismiss:
			name = "dismiss: " + e.Reason
		case Watch:
			if e.Fast {
				name = "Watch fast"
			}
		case Recover:
			if e.Unlisted {
				name += " unlisted"
			}
			if e.Own {
				name += " own"
			}
		case CloseParts:
			if e.Linger {
				name = "CloseParts lingering"
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

type row struct {
	name    string
	before  []Event
	event   Event
	phase   Phase
	ending  Ending
	effects string
}

func (r row) check(t *testing.T) {
	t.Helper()
	s, effects := play(then(r.before, r.event)...)
	require.Equal(t, r.phase, s.Phase)
	require.Equal(t, r.ending, s.Ending)
	require.Equal(t, r.effects, brief(effects))
}

func TestBeforeTheBucketHasSaidWhoseItIs(t *testing.T) {
	left := Ending{Done, reasonLeft, true}
	for _, r := range []row{
		{"it may be wanted", nil, Looked{Grant: ledger.Grant{Verdict: ledger.Record}}, Waiting, Ending{},
			"Join, connect in 15s"},
		{"recorders may have died of it, or of what is here", nil,
			Looked{Grant: ledger.Grant{Verdict: ledger.Record}, Elsewhere: true}, Over, Ending{Outcome: Elsewhere},
			"Leave, Discard, end: elsewhere"},
		{"the same, but something has been recorded by now", unnamed,
			Looked{Grant: ledger.Grant{Verdict: ledger.Record}, Elsewhere: true}, Unnamed, Ending{}, "Bid"},
		{"a suspect is watched", connected, Granted{Grant: ledger.Grant{
			Verdict:   ledger.Record,
			Epoch:     5,
			Suspicion: ledger.Suspicion{Company: 1},
		}}, Recording, Ending{}, "Adopt, observation in 1m0s, Watch, Recover, absence in 5m0s"},
		{"it has been given up", []Event{Looked{Grant: ledger.Grant{Verdict: ledger.Close}}},
			Granted{Grant: ledger.Grant{Verdict: ledger.Close, Epoch: 9, Refused: document.ReasonGivenUp}}, Closing,
			Ending{Outcome: Done, Reason: document.ReasonGivenUp},
			"Adopt, CloseParts, Recover unlisted"},
		{"in the room: nothing is taken over from outside", looking, InRoom{}, Waiting, Ending{},
			"absence in 5m0s, rest in 3s, Bid"},
		{"what is to be closed needs no room", nil, Looked{Grant: ledger.Grant{Verdict: ledger.Close}}, Waiting, Ending{},
			"Bid"},
		{"nor does a duplicate", nil, Looked{Grant: ledger.Grant{Verdict: ledger.Duplicate}}, Waiting, Ending{}, "Bid"},
		{"a duplicate that is none any more: it is in no room yet",
			[]Event{Looked{Grant: ledger.Grant{Verdict: ledger.Duplicate}}}, grant(ledger.Record, 1), Recording, Ending{},
			"Adopt, Watch, Recover, Join, outage in 30s"},
		{"LiveKit cannot be reached", looking, fired(ConnectTimer), Over, Ending{Outcome: TryAgain},
			"Leave, Discard, end: try again"},
		{"LiveKit cannot be reached, it says again", looking, OutOfRoom{}, Waiting, Ending{}, ""},
		{"lost LiveKit before anything came", then(connected, OutOfRoom{}), fired(OutageTimer), Over,
			Ending{Outcome: TryAgain},
			"Leave, Discard, end: try again"},
		{"the bucket is silent", nil, fired(HeadStartTimer), Unnamed, Ending{}, "Join, connect in 15s"},
		{"the bucket is silent after the first answer", connected, fired(HeadStartTimer), Unnamed, Ending{}, ""},
		{"the bucket is silent about what is not wanted", []Event{Looked{Grant: ledger.Grant{Verdict: ledger.Close}}},
			fired(HeadStartTimer), Unnamed, Ending{}, ""},
		{"the bucket is silent, and nobody gets into the room", silent, fired(ConnectTimer), Over, Ending{Outcome: TryAgain},
			"Leave, Discard, end: try again"},
		{"frames come without the bucket", then(silent, InRoom{}), FirstFrame{}, Unnamed, Ending{},
			"Wake, maximum in 1h0m0s"},
		{"the bucket answers while recording unnamed", unnamed, Looked{Grant: ledger.Grant{Verdict: ledger.Record}}, Unnamed,
			Ending{}, "Bid"},
		{"granted", connected, grant(ledger.Record, 1), Recording, Ending{}, "Adopt, Watch, Recover, absence in 5m0s"},
		{"granted what another recorder had begun", connected, Granted{ledger.Grant{Verdict: ledger.Record, Epoch: 2},
			20 * time.Minute},
			Recording, Ending{}, "Adopt, Wake, maximum in 40m0s, Watch, Recover, absence in 30s"},
		{"granted to be closed", connected, grant(ledger.Close, 2), Closing, Ending{Done, reasonStopped, false},
			"Adopt, CloseParts, Recover unlisted"},
		{"granted to be closed, recorded unnamed", unnamed, grant(ledger.Close, 2), Closing,
			Ending{Done, reasonStopped, false}, "Adopt, CloseParts, Recover unlisted"},
		{"a duplicate", connected, Granted{Grant: ledger.Grant{Verdict: ledger.Duplicate, Current: "R0"}}, Concluding,
			Ending{Outcome: Refused},
			"Leave, Discard, dismiss: already being recorded as R0"},
		{"void", connected, grant(ledger.Void, 0), Concluding, Ending{Outcome: Refused},
			"Leave, Discard, dismiss: stopped before it began"},
		{"over: its notice may be missing", connected, grant(ledger.Over, 0), Concluding, Ending{Outcome: Done},
			"Leave, Discard, Tell"},
		{"refused, and frames have come before it could be known", then(connected, FirstFrame{}),
			grant(ledger.Duplicate, 0), Concluding,
			Ending{Outcome: Refused}, "Leave, Discard, dismiss: already being recorded as "},
		{"refused, but recorded without the bucket: that is kept", unnamed, grant(ledger.Void, 0), Unnamed, Ending{}, "Bid"},
		{"the bucket cannot be used", unnamed, BidFailed{}, Over, Ending{Outcome: TryAgain}, "CloseParts, end: try again"},
		{"shutting down before anything came", connected, Relinquish{}, Over, Ending{Outcome: Offered},
			"Leave, Discard, end: offered"},
		{"shutting down while recording unnamed", unnamed, Relinquish{}, HandingOver, Ending{},
			"Mark, Offer, Bid, patience in 1m0s"},
		{"shutting down, nobody there any more", then(unnamed, Left{}), Relinquish{}, Unnamed,
			Ending{Offered, reasonHandedOver, false},
			"Mark, Offer, Bid, CloseParts"},
		{"LiveKit lost while recording unnamed", then(unnamed, OutOfRoom{}), fired(OutageTimer), Unnamed,
			Ending{Offered, reasonUnreachable, false},
			"Mark, Offer, Bid, CloseParts"},
		{"left while recording unnamed: closed when it has a name", then(unnamed, Left{}), fired(AbsenceTimer), Unnamed,
			left, "CloseParts lingering"},
		{"and then the bucket answers", then(unnamed, Left{}, fired(AbsenceTimer)), grant(ledger.Record, 1), Closing,
			left, "Adopt, CloseParts, Recover"},
		{"for good, but it is another's by then", then(unnamed, Left{}, fired(AbsenceTimer)), grant(ledger.Extra, 3), Closing,
			Ending{LeftToOwner, reasonLost, false}, "Adopt, CloseParts"},
		{"the scratch space is used up", unnamed, SpaceUsedUp{}, Unnamed, Ending{Offered, reasonSpace, false},
			"Mark, Offer, Bid, CloseParts"},
	} {
		t.Run(r.name, r.check)
	}
}

func TestWhileItIsOursAndWanted(t *testing.T) {
	for _, r := range []row{
		{"waits for the participant", ours, fired(AbsenceTimer), Closing, Ending{Done, document.ReasonNotJoined, true},
			"CloseParts, Recover"},
		{"joined", ours, Joined{"S1"}, Recording, Ending{}, "Wake"},
		{"not joined for a moment: others can have the place", ours, fired(RestTimer), Recording, Ending{}, "Rest"},
		{"joined in time for the place", present, fired(RestTimer), Recording, Ending{}, ""},
		{"away, not absent: they may be back any moment", then(runs, Left{}), fired(RestTimer), Recording, Ending{}, ""},
		{"first frame", present, FirstFrame{}, Recording, Ending{}, "maximum in 1h0m0s"},
		{"away", runs, Left{}, Recording, Ending{}, "absence in 30s"},
		{"away for too long", then(runs, Left{}), fired(AbsenceTimer), Closing, Ending{Done, reasonLeft, true},
			"CloseParts lingering, Recover"},
		{"the ledger hears of a new session while they are away", then(runs, Left{}), stands(ledger.Wanted, "S1", "S2"),
			Recording, Ending{}, "absence in 30s"},
		{"nothing new in the ledger", then(runs, Left{}), stands(ledger.Wanted, "S1"), Recording, Ending{}, ""},
		{"departed", runs, stands(ledger.Departed), Closing, Ending{Done, reasonLeft, false},
			"CloseParts lingering, Recover"},
		{"stopped", runs, stands(ledger.Stopped), Closing, Ending{Done, reasonStopped, false}, "CloseParts, Recover"},
		{"taken over by another recorder, and ended there", runs, ended, Closing,
			Ending{LeftToOwner, reasonLost, false}, "CloseParts"},
		{"taken over by another recorder", runs, stands(ledger.Lost), Superseded, Ending{},
			"Mark, Watch fast, patience in 30s"},
		{"taken over while nobody is there", then(runs, Left{}), stands(ledger.Lost), Closing,
			Ending{LeftToOwner, reasonLost, false}, "CloseParts"},
		{"shutting down", runs, Relinquish{}, HandingOver, Ending{}, "Mark, Offer, Watch fast, patience in 1m0s"},
		{"shutting down before the first frame", present, Relinquish{}, Closing, Ending{Offered, reasonHandedOver, false},
			"Mark, Offer, CloseParts"},
		{"LiveKit is lost", runs, OutOfRoom{}, Recording, Ending{}, "outage in 30s"},
		{"LiveKit is back, the participant not seen yet", then(runs, OutOfRoom{}), InRoom{}, Recording, Ending{},
			"absence in 30s"},
		{"LiveKit is lost for long: another recorder may reach it", then(runs, OutOfRoom{}), fired(OutageTimer), Closing,
			Ending{Offered, reasonUnreachable, false}, "Mark, Offer, CloseParts"},
		{"the room was closed with the participant in it", runs, RoomClosed{}, Closing,
			Ending{Done, reasonRoomClosed, true}, "CloseParts, Recover"},
		{"the empty room was closed", ours, RoomClosed{}, Recording, Ending{}, ""},
		{"the longest duration", runs, fired(MaximumTimer), Closing, Ending{Done, reasonMaximum, false},
			"CloseParts, Recover"},
		{"parts cannot be written: another recorder's disk may be better", runs, PartsFail{}, Closing,
			Ending{Offered, reasonWriting, false}, "Mark, Offer, CloseParts"},
		{"parts cannot be written anywhere", runs, PartsFail{Everywhere: true}, Closing,
			Ending{Done, reasonWriting, false}, "CloseParts, Recover"},
		{"too many parts: every recorder would see the same", runs, TooManyParts{}, Closing,
			Ending{Done, document.ReasonUnsteady, false}, "CloseParts, Recover"},
		{"the scratch space is used up: another recorder may have some", runs, SpaceUsedUp{}, Closing,
			Ending{Offered, reasonSpace, false}, "Mark, Offer, CloseParts"},
		{"recovered what others had left", runs, Recovered{}, Recording, Ending{}, ""},
		{"an answer that is late", runs, Looked{}, Recording, Ending{}, ""},
	} {
		t.Run(r.name, r.check)
	}
}

func TestUntilAnotherRecordersPartRuns(t *testing.T) {
	offered, lost := Ending{Offered, reasonHandedOver, false}, Ending{LeftToOwner, reasonLost, false}
	for _, r := range []row{
		{"it runs", handingOver, SuccessorRuns{}, Closing, offered, "CloseParts"},
		{"taken, but not running yet", handingOver, stands(ledger.Lost), HandingOver, Ending{}, ""},
		{"not taken yet", handingOver, stands(ledger.Wanted), HandingOver, Ending{}, ""},
		{"stopped meanwhile", handingOver, stands(ledger.Stopped), Closing, offered, "CloseParts"},
		{"nobody comes", handingOver, fired(PatienceTimer), Closing, offered, "CloseParts"},
		{"the participant stays away", then(handingOver, Left{}), fired(AbsenceTimer), Closing, offered, "CloseParts"},
		{"asked again", handingOver, Relinquish{}, HandingOver, Ending{}, ""},
		{"LiveKit lost as well", then(handingOver, OutOfRoom{}), fired(OutageTimer), Closing,
			Ending{Offered, reasonUnreachable, false}, "Mark, Offer, CloseParts"},
		{"begun without the bucket: it is only given a number", then(unnamed, Relinquish{}), grant(ledger.Extra, 2),
			HandingOver, Ending{}, "Adopt, Watch fast"},
		{"begun without the bucket, and nobody else has got it by the time that it answers",
			then(unnamed, Relinquish{}), grant(ledger.Record, 1), HandingOver, Ending{}, "Adopt, Offer, Watch fast"},
		{"begun without the bucket, which stays away", then(unnamed, Relinquish{}), fired(PatienceTimer), HandingOver,
			offered, "CloseParts"},
		{"begun without the bucket, which answers at last", then(unnamed, Relinquish{}, fired(PatienceTimer)),
			grant(ledger.Extra, 2), Closing, offered,
			"Adopt, CloseParts"},
		{"begun without the bucket, and over by the time that it answers: nobody else will close it",
			then(unnamed, Relinquish{}, fired(PatienceTimer)),
			grant(ledger.Close, 2), Closing, Ending{Done, reasonStopped, false}, "Adopt, Offer, CloseParts, Recover unlisted"},
		{"begun without the bucket, which cannot be used", then(unnamed, Relinquish{}), BidFailed{}, Over,
			Ending{Outcome: Offered}, "CloseParts, end: offered"},
		{"the new owner's part runs", superseded, SuccessorRuns{}, Closing, lost, "CloseParts"},
		{"the new owner's part does not run", superseded, fired(PatienceTimer), Closing, lost, "CloseParts"},
		{"the new owner ends it before its part runs", superseded, ended, Closing, lost, "CloseParts"},
		{"shutting down, the new owner has it anyway", superseded, Relinquish{}, Superseded, Ending{}, ""},
		{"the room was closed", superseded, RoomClosed{}, Closing, lost, "CloseParts"},
		{"too many parts: whoever comes will see it", handingOver, TooManyParts{}, Closing, offered, "CloseParts"},
	} {
		t.Run(r.name, r.check)
	}
}

func TestStoringAndConcluding(t *testing.T) {
	stopped, lost := Ending{Done, reasonStopped, false}, Ending{LeftToOwner, reasonLost, false}
	for _, r := range []row{
		{"parts are stored, others' are not recovered yet", closing, PartsStored{}, Closing, stopped, ""},
		{"recovered, but our parts are not stored yet", closing, Recovered{}, Closing, stopped, ""},
		{"everything is stored", then(closing, PartsStored{}), Recovered{}, Concluding, stopped, "Conclude"},
		{"what is left to others waits for no recovery", then(handingOver, SuccessorRuns{}), PartsStored{}, Concluding,
			Ending{Offered, reasonHandedOver, false}, "Yield"},
		{"taken over while closing", closing, stands(ledger.Lost), Closing, lost, ""},
		{"taken over while recovering", then(closing, PartsStored{}), stands(ledger.Lost), Concluding, lost, "Yield"},
		{"somebody comes while closing", closing, Joined{"S2"}, Closing, stopped, ""},
		{"shutting down while closing", closing, Relinquish{}, Closing, stopped, ""},
		{"still ours", closing, stands(ledger.Stopped), Closing, stopped, ""},
		{"concluded", concluding, Concluded{ledger.Closed}, Concluding, stopped, "Tell"},
		{"another recorder has it", concluding, Concluded{ledger.NotOurs}, Concluding, lost, "Yield"},
		{"another recorder has begun a part since: it is waited for", concluding, Unfinished{}, Closing, stopped,
			"Recover unlisted own"},
		{"and recovered", then(concluding, Unfinished{}), Recovered{}, Concluding, stopped, "Conclude"},
		{"told", telling, Told{}, Over, stopped, "end: done"},
		{"shutting down while telling", telling, Relinquish{}, Concluding, stopped, ""},
		{"yielded", then(concluding, Concluded{ledger.NotOurs}), Yielded{}, Over, lost, "end: left to its owner"},
		{"dismissed", then(connected, grant(ledger.Void, 0)), Dismissed{}, Over, Ending{Outcome: Refused}, "end: refused"},
		{"nothing more happens", then(telling, Told{}), Relinquish{}, Over, stopped, ""},
	} {
		t.Run(r.name, r.check)
	}
}

// Whose start was taken for a duplicate while the old session ended must be recorded on.
func TestAParticipantWhoIsBackIsRecordedOn(t *testing.T) {
	gone := then(runs, Left{}, fired(AbsenceTimer), PartsStored{}, Recovered{})
	s, effects := play(then(gone, Concluded{ledger.WantedAgain})...)
	require.Equal(t, Recording, s.Phase)
	require.Equal(t, Ending{}, s.Ending)
	require.Equal(t, "Join, Watch, outage in 30s", brief(effects))
	s, effects = step(patient, s, InRoom{})
	require.Equal(t, "absence in 30s", brief(effects))
	s, _ = step(patient, s, Joined{"S2"})
	require.Equal(t, []string{"S1", "S2"}, s.Sessions)
	require.Equal(t, Present, s.Presence)
}

// The bucket was away while they were waited for in vain, and when it is back, they are, too.
func TestAParticipantWhoCameBehindAnOutageIsRecordedOn(t *testing.T) {
	back := Granted{Grant: ledger.Grant{Verdict: ledger.Record, Epoch: 1, Sessions: []string{"S1", "S2"}}}
	vain := then(silent, InRoom{}, fired(AbsenceTimer))
	s, effects := play(then(vain, back)...)
	require.Equal(t, Recording, s.Phase)
	require.Equal(t, Ending{}, s.Ending)
	require.Equal(t, "Adopt, Watch, Recover, Join, outage in 30s", brief(effects))

	s, _ = play(then(vain, grant(ledger.Record, 1))...)
	require.Equal(t, Closing, s.Phase, "nobody else has come")
	s, _ = play(then(vain, Granted{Grant: ledger.Grant{Verdict: ledger.Close, Sessions: back.Grant.Sessions}})...)
	require.Equal(t, Closing, s.Phase, "it is not wanted")
}

// The longest duration passes while a recording is about to end, and somebody comes back just then.
func TestALongestDurationThatPassesWhileClosingCounts(t *testing.T) {
	gone := then(runs, Left{}, fired(AbsenceTimer))
	for name, before := range map[string][]Event{
		"while storing":    then(gone, fired(MaximumTimer), PartsStored{}, Recovered{}),
		"while concluding": then(gone, PartsStored{}, Recovered{}, fired(MaximumTimer)),
	} {
		t.Run(name, func(t *testing.T) {
			s, effects := play(then(before, Concluded{ledger.WantedAgain})...)
			require.Equal(t, "Join, Watch, outage in 30s, maximum in 0s", brief(effects))
			s, _ = step(patient, s, fired(MaximumTimer))
			require.Equal(t, Closing, s.Phase)
			require.Equal(t, reasonMaximum, s.Ending.Reason)
		})
	}
}

// The table tests would not see a state that is changed in place.
func TestStepIsPure(t *testing.T) {
	s, _ := play(present...)
	before := fmt.Sprintf("%#v", s)
	for _, e := range []Event{Joined{"S9"}, FirstFrame{}, stands(ledger.Wanted, "S7"), Relinquish{}} {
		_, _ = step(patient, s, e)
		require.Equal(t, before, fmt.Sprintf("%#v", s))
	}
}

// Handed over again and again, a start would wait for ever for somebody who never comes.
func TestAStartDoesNotBeginToWaitAnew(t *testing.T) {
	for waited, want := range map[time.Duration]time.Duration{
		-time.Minute:    5 * time.Minute, // clocks differ
		0:               5 * time.Minute,
		2 * time.Minute: 3 * time.Minute,
		time.Hour:       30 * time.Second,
	} {
		require.Equal(t, want, patient.since(waited).StartTimeout, waited)
	}
	require.Equal(t, time.Second,
		Policy{StartTimeout: time.Second, RejoinWindow: time.Minute}.since(time.Hour).StartTimeout)
}

func TestAStateCanBePrinted(t *testing.T) {
	s, _ := play(closing...)
	require.Equal(t, "closing (present, epoch 1, done: stopped on request)", s.String())
}
