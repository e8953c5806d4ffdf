// Package recording carries one recording through on one recorder: it decides when it begins and ends, and whose it is,
// and keeps its document true. Its state is one value ([State]), moved by one pure function ([step]) on one goroutine;
// frames go past it, into package parts.
package recording

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
)

// Rooms are LiveKit's rooms, as this recorder can get into them: package room has the real ones.
type Rooms interface {
	// Follow joins a room, unless this recorder is in it already, and follows one participant of it.
	Follow(room string, interest room.Interest, log logrus.FieldLogger) Following
	// TellStop hints another recorder, by its name, to look at the ledger for a recording.
	TellStop(ctx context.Context, room, recorder, recording string) error
}

// Following is one recording's view of one participant. Its events must be taken until it is closed.
type Following interface {
	Events() <-chan room.Event
	Close()
}

// World is what recordings need of the world.
type World struct {
	Rooms Rooms
	// Open begins a media file.
	Open      func(path string, streams []mux.Stream) (parts.File, error)
	Storage   recovery.Storage
	Documents ledger.Documents
	Ledger    *ledger.Ledger
	Recovery  *recovery.Recovery
	Scratch   *scratch.Owned
	// Tell sends notices of a recording's end on their way: from then on they are somebody else's care.
	Tell func(context.Context, document.Recording) error
	// TellBegun is the same for its beginning. It may be nil: then nobody wants to know. Awaited says whether anybody
	// wants to know of that recording's; nil: of every one's.
	TellBegun func(context.Context, document.Recording) error
	Awaited   func(document.Recording) bool
	// Now is the time by the clock that all recorders are set by.
	Now func() time.Time
	Log logrus.FieldLogger
}

// Names are what a recorder calls itself and its files.
type Names struct {
	// Recorder is different for every process that ever ran.
	Recorder string
	// Bucket is named in documents.
	Bucket string
	// FileTemplate names the files of starts that give no name of their own.
	FileTemplate string
}

// Document is the document of a start on this recorder before anything has come of it, and the file name that it wants.
func (n Names) Document(start command.Command) (r document.Recording, file string) {
	template := cmp.Or(start.File, n.FileTemplate, document.DefaultFile)
	r = document.NewRecording(start).Owned(n.Recorder, n.Bucket, 0)
	return r, document.FileName(template, r, start.RequestedAt)
}

// Baton is the hold on a start message: whoever has it records.
type Baton interface {
	// Message is the id of the message.
	Message() string
	// Offer gives the start to other recorders, while this one goes on.
	Offer(context.Context) error
	// Rest gives up the recording's place among those that this recorder can have at once, if it can do without. Wake
	// takes one again, if there is one.
	Rest()
	Wake() bool
	// Receives is how often the start has been received from the queue.
	Receives() int
	// Admit asks whether this recorder may carry the start out, given what the ledger suspects it of; Alone says whether
	// the recorder has nothing else then, and takes nothing else. Clear ends the suspicion.
	Admit(ledger.Suspicion) bool
	Alone() bool
	Clear()
	// Relinquished is closed when the recording is to be given to another recorder.
	Relinquished() <-chan struct{}
}

// Result is how this recorder's hold on a recording has ended. Message is the one that the recording's owner holds, if
// it was left to its owner, as far as that is known.
type Result struct {
	Outcome Outcome
	Message string
}

// Recordings are all recordings of a recorder.
type Recordings struct {
	World  World
	Names  Names
	Policy Policy

	attempts atomic.Int64
	mu       sync.Mutex
	running  []*course // in the order in which they began
}

// Record does what a start asks for, and returns when this recorder's hold on the recording has ended. The recording
// ends by itself, or when the baton is to be given up; ctx ends it at once, wherever it is.
func (r *Recordings) Record(ctx context.Context, start command.Command, baton Baton) Result {
	result := Result{Outcome: TryAgain} // should the code have a fault: as if this recorder had been killed
	_ = guard.Run(r.World.Log.WithFields(start.Trace()), "carry a recording through", func() {
		c := newCourse(r, start, baton, int(r.attempts.Add(1)))
		r.mu.Lock()
		r.running = append(r.running, c)
		r.mu.Unlock()
		defer func() {
			switch result.Outcome {
			case Done, Refused:
			case Elsewhere:
				c.mourn(ctx)
			default:
				c.letGo(ctx)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.running = slices.DeleteFunc(r.running, func(other *course) bool { return other == c })
		}()
		result = c.run(ctx)
	}) // has been logged
	return result
}

// Running is how many recordings there are at the moment.
func (r *Recordings) Running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running)
}

// Unnamed is how long the oldest recording has been on this disk alone, because the bucket has not said its name yet; 0
// if there is none.
func (r *Recordings) Unnamed() (oldest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.running {
		if since := c.shared.unnamed.Load(); since != 0 {
			oldest = max(oldest, time.Since(time.Unix(0, since)))
		}
	}
	return oldest
}

// Check makes a recording look at the ledger now, if it is here: it may have been stopped, or taken over.
func (r *Recordings) Check(recording string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.running {
		if c.job.start.Recording == recording {
			c.inbox.post(lookAgain{})
		}
	}
}

// EndNewest ends the recording that began last, of those that have not been ended that way: there is no space for all.
// What only waits for somebody, or for a share, takes none.
func (r *Recordings) EndNewest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range slices.Backward(r.running) {
		if c.shared.heard.Load() && !c.shared.squeezed.Swap(true) {
			c.inbox.post(SpaceUsedUp{})
			return
		}
	}
}

// Stop does what a stop command asks for: the ledger says from then on that the recordings are not wanted, and
// whichever recorder has them is told.
func (r *Recordings) Stop(ctx context.Context, c command.Command) error {
	if c.Room == "" { // by id only
		found, err := r.World.Documents.ByID(ctx, c.Recording)
		if err != nil {
			return fmt.Errorf("find recording %s: %w", c.Recording, err)
		}
		c.Room, c.Participant = found.Room, found.Participant
	}
	ended, err := r.World.Ledger.Stop(ctx, c)
	if err != nil {
		return fmt.Errorf("stop recording: %w", err)
	}
	r.tellOwners(ctx, c, ended)
	return nil
}

// tellOwners tells the recorders of recordings that are not wanted any more.
func (r *Recordings) tellOwners(ctx context.Context, c command.Command, ended map[string]ledger.Claim) {
	for id, claim := range ended {
		log := r.World.Log.WithFields(c.Trace()).WithField("recording", id)
		log.Info("stop received")
		if err := r.tell(ctx, c.Room, claim.Owner, id); err != nil {
			log.WithError(err).Info("recorder could not be told of the stop, and will learn of it from the ledger")
		}
	}
}

// tell makes a recording's owner look at the ledger, and this recorder if it has the recording as well.
func (r *Recordings) tell(ctx context.Context, room, owner, recording string) error {
	r.Check(recording)
	if owner == r.Names.Recorder {
		return nil
	}
	return r.World.Rooms.TellStop(ctx, room, owner, recording)
}

// kinds is how many kinds of tracks a recording can have.
func kinds(c command.Command) int {
	if c.Track != "" || c.Media == command.AudioOnly || c.Media == command.VideoOnly {
		return 1
	}
	return 2
}

// interest is what the bot subscribes to.
func interest(c command.Command) room.Interest {
	tracks := []string{"camera", "microphone"}
	switch {
	case c.Track != "":
		tracks = []string{c.Track}
	case c.Media == command.AudioOnly:
		tracks = []string{"microphone"}
	case c.Media == command.VideoOnly:
		tracks = []string{"camera"}
	case c.Media == command.Screen:
		tracks = []string{"screen_share", "screen_share_audio"}
	}
	return room.Interest{Identity: c.Participant, Tracks: tracks}
}
