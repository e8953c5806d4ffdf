package recording

import (
	"fmt"
	"time"

	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// State is how far one recorder's hold on one recording has come. It is changed by [step] alone, on one goroutine.
//
//	waiting ─► unnamed ─┐
//	   │                ▼
//	   └──────────► recording ─► handing over ─► closing ─► concluding ─► over
//	                    │                           ▲
//	                    └─► superseded ─────────────┘
type State struct {
	Phase     Phase
	Presence  Presence
	Connected bool // the bot is in the room
	Heard     bool // frames have come
	Leaving   bool // offered to other recorders: it must not be taken back from them
	Began     bool // its first frame has come, here or at another recorder
	// Verdict and Epoch are what the ledger has said; empty and 0 before it has answered.
	Verdict ledger.Verdict
	Epoch   int
	// Sessions are those of the participant that this recorder knows of.
	Sessions []string
	// Ending is how it ends, as far as that is decided.
	Ending Ending
	// Pending is what closing still waits for.
	Pending Pending
}

// Recorded says that something has been recorded that nobody may drop, whatever the bucket says: frames have come, and
// the bucket has said that they are wanted, or had its time to say so.
func (s State) Recorded() bool { return s.Heard && s.Phase != Waiting }

// Phase is the main part of the state.
type Phase string

// The phases, in order.
const (
	Waiting     Phase = "waiting"      // for the bucket to say whose it is, and for the room
	Unnamed     Phase = "unnamed"      // records on the disk, because the bucket has not answered in time
	Recording   Phase = "recording"    // it is ours, and wanted
	HandingOver Phase = "handing over" // offered to other recorders; goes on until another one's part runs
	Superseded  Phase = "superseded"   // another recorder has it; goes on until that one's part runs
	Closing     Phase = "closing"      // what has been recorded is stored
	Concluding  Phase = "concluding"   // the final document is written, and notices are sent on their way
	Over        Phase = "over"
)

// Presence is what is known of the participant.
type Presence string

// The presences.
const (
	NeverSeen Presence = "never seen"
	Present   Presence = "present"
	Away      Presence = "away"
)

// Outcome is how this recorder's hold on a recording ends.
type Outcome string

// The outcomes.
const (
	Done        Outcome = "done"              // the document is final: the message can be deleted
	Refused     Outcome = "refused"           // there is nothing to record: that message can be deleted, too
	Offered     Outcome = "offered"           // other recorders go on with it
	LeftToOwner Outcome = "left to its owner" // another recorder has it, and a message of its own
	TryAgain    Outcome = "try again"         // nothing has come of it here: the message goes back to the queue
	Elsewhere   Outcome = "elsewhere"         // recorders died of it, or of what is here: others must not die with it
)

// Ending is how a hold ends, and why. The zero value: it has not been decided.
type Ending struct {
	Outcome Outcome
	Reason  string
	// Gone says that the reason is the participant's absence: should they be in another session by then, it goes on.
	Gone bool
}

// Pending is a set of what closing waits for.
type Pending uint8

// What closing waits for.
const (
	PartsPending    Pending = 1 << iota // this recorder's parts are not all stored
	RecoveryPending                     // parts of recorders that are gone are not all finished
)

// String shows the state in one line.
func (s State) String() string {
	text := fmt.Sprintf("%s (%s", s.Phase, s.Presence)
	if s.Epoch > 0 {
		text += fmt.Sprintf(", epoch %d", s.Epoch)
	}
	if s.Ending.Outcome != "" {
		text += fmt.Sprintf(", %s: %s", s.Ending.Outcome, s.Ending.Reason)
	}
	return text + ")"
}

// Policy is how patient recordings are.
type Policy struct {
	// HeadStart is how long the bucket may take to say who records, before recording begins without it.
	HeadStart time.Duration
	// Connect is how long getting into the room may take at first.
	Connect time.Duration
	// StartTimeout is how long a start waits for its participant. RejoinWindow is how long the participant, or LiveKit,
	// may be away.
	StartTimeout, RejoinWindow time.Duration
	// MaxDuration bounds a recording from its first frame on, across all recorders; 0 does not.
	MaxDuration time.Duration
	// HandOver is how long a recording that is offered goes on at most until another recorder's part runs. 0 ends it at
	// once.
	HandOver time.Duration
	// Share says that the recording waits for the participant to share their screen, and not just to be there.
	Share bool
}

// of returns the policy for what a start asks for.
func (p Policy) of(start command.Command) Policy {
	p.Share = start.Media == command.Screen
	return p
}

// restAfter is how long a start waits in the room for somebody who has not been there yet, or for somebody's screen,
// before it gives up its place among the recordings that this recorder can have at once.
const restAfter = 3 * time.Second

// since returns the policy for a start that has waited for its participant for a while already, at other recorders: it
// does not begin to wait anew. Those who come just then are still met.
func (p Policy) since(waited time.Duration) Policy {
	least := min(p.StartTimeout, p.RejoinWindow)
	p.StartTimeout = max(least, min(p.StartTimeout, p.StartTimeout-waited))
	return p
}

// supersededPatience is how long a recorder that has lost a recording goes on at most until the other one's part runs:
// that one may have to find its way into the room.
const supersededPatience = 30 * time.Second

// Event is something that happens to a recording. It is one of the types below.
type Event any

// What happens.
type (
	// InRoom says that the bot is in the room.
	InRoom struct{}
	// OutOfRoom says that it is not, because LiveKit cannot be reached.
	OutOfRoom struct{}
	// RoomClosed says that the room was closed, or the bot put out of it.
	RoomClosed struct{}
	// Joined says that the participant is in the room, in a session; Left that they are not.
	Joined struct{ Session string }
	Left   struct{}
	// FirstFrame is the first frame that this recorder has received.
	FirstFrame struct{}
	// PartsFail says that parts could not be written, again and again. Nor could earlier owners if it is Everywhere.
	PartsFail struct{ Everywhere bool }
	// TooManyParts says that the participant's tracks change so often that there would be too many parts.
	TooManyParts struct{}

	// Looked is what a bid would come to, Granted what it has come to. Elapsed is how long the recording has run already,
	// by other recorders; 0 if it has not begun. Elsewhere says that this recorder must not take it, for recorders may
	// have died of it, or of what this one has.
	Looked struct {
		Grant     ledger.Grant
		Elsewhere bool
	}
	Granted struct {
		Grant   ledger.Grant
		Elapsed time.Duration
	}
	// BidFailed says that the ledger or the document cannot be used, and will not be.
	BidFailed struct{ Err error }
	// Stands is what the ledger says later.
	Stands struct{ Standing ledger.Standing }
	// SuccessorRuns says that another recorder's part runs, or that it has ended the recording.
	SuccessorRuns struct{}

	// Relinquish asks to give the recording to another recorder: this one shuts down, or has had it for too long.
	Relinquish struct{}
	// SpaceUsedUp ends the recording because files cannot be stored as fast as they grow.
	SpaceUsedUp struct{}
	// TimerFired is a timer that has run out.
	TimerFired struct{ Timer Timer }

	// PartsStored and Recovered say that nothing of that is left to do.
	PartsStored struct{}
	Recovered   struct{}
	// Yielded says that the document has what became of this recorder's parts.
	Yielded struct{}
	// Concluded says that the final document is written, and what the ledger says to that.
	Concluded struct{ Closing ledger.Closing }
	// Unfinished says that the document has a part that is not final, of another recorder or made a file of by one.
	Unfinished struct{}
	// Dismissed and Told say that this is done: notices are on their way.
	Dismissed struct{}
	Told      struct{}
)

// Timer is one of a recording's timers.
type Timer string

// The timers.
const (
	HeadStartTimer Timer = "head start" // the bucket should have answered by then
	ConnectTimer   Timer = "connect"    // the bot must be in the room by then
	AbsenceTimer   Timer = "absence"    // the participant must be there by then
	RestTimer      Timer = "rest"       // who waits for somebody for longer takes no place from those who are there
	OutageTimer    Timer = "outage"     // LiveKit must be back by then
	// ObservationTimer: a recorder that lives by then does not die of this recording.
	ObservationTimer Timer = "observation"
	MaximumTimer     Timer = "maximum"  // the recording's longest duration
	PatienceTimer    Timer = "patience" // with a successor that does not come
)

// Effect is something that is to be done. It is one of the types below.
type Effect any

// What is to be done. Whatever takes time is answered by an event.
type (
	// Join brings the bot into the room, and back whenever it is out of it; Leave ends that.
	Join  struct{}
	Leave struct{}
	// Rest gives up the recording's place on this recorder while it waits for somebody, Wake takes one again.
	Rest struct{}
	Wake struct{}
	// Clear ends the suspicion that recorders die of this recording: this one lives.
	Clear struct{}
	// Discard drops what has come meanwhile: somebody else records it, or nobody is to.
	Discard struct{}
	// Look asks the ledger what a bid would come to; Bid makes one: again and again, until there is an answer.
	Look struct{}
	Bid  struct{}
	// Adopt gives this recorder's parts their names.
	Adopt struct{ Grant ledger.Grant }
	// Watch looks at the ledger now, and from now on often (fast) or now and then.
	Watch struct{ Fast bool }
	// Mark marks this recorder's parts as those of one that is about to end.
	Mark struct{}
	// Offer gives the start to other recorders, while this one goes on.
	Offer struct{}
	// CloseParts leaves the room, after the last packets of somebody who has left (linger), and ends this recorder's part.
	CloseParts struct{ Linger bool }
	// Recover finishes the parts of recorders that are gone; at the end also those that no document lists, and this
	// recorder's own, of which another one has made a file.
	Recover struct{ Unlisted, Own bool }
	// Yield writes what became of this recorder's parts into the document.
	Yield struct{}
	// Conclude writes the final document, and tells the ledger.
	Conclude struct{}
	// Dismiss writes down that nothing has come of the start.
	Dismiss struct{ Reason string }
	// Tell sends notices of the recording's end on their way.
	Tell struct{}
	// Arm starts a timer anew, Disarm stops it.
	Arm struct {
		Timer Timer
		After time.Duration
	}
	Disarm struct{ Timer Timer }
	// End ends this recorder's hold.
	End struct{ Outcome Outcome }
)
