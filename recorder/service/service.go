// Package service is one recorder, wired: it takes commands off the queues, records, and recovers what others have
// left. Everything outside comes in through [World], so that a whole fleet can run in one process and in virtual time.
package service

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/joining"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/recording"
	"livekit-recorder/recorder/recovery"
	"livekit-recorder/recorder/scratch"
	"livekit-recorder/recorder/worker"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/document"
	"livekit-recorder/shared/ledger"
	"livekit-recorder/shared/queue"
)

// Settings are what can be set of a recorder.
type Settings struct {
	Names  recording.Names
	Policy recording.Policy
	// Scratch is the local directory for growing files, shared by all recorders on this disk. ScratchLimit is how many
	// bytes this one's may take there; 0 is no limit but the disk's.
	Scratch      string
	ScratchLimit int64
	// MaxRecordings is how many recordings run at once.
	MaxRecordings int
	// JoinParts has the parts of recordings become one file when they have ended.
	JoinParts bool
	// Hold is how long a recording is held before it is handed over, StopTimeout how long closing everything may take.
	Hold, StopTimeout time.Duration
}

// Storage is where media files are kept.
type Storage interface {
	recovery.Storage
	joining.Storage
}

// Media makes media files: ffmpeg does.
type Media interface {
	joining.Media
	// Open begins a file.
	Open(path string, streams []mux.Stream) (parts.File, error)
	// Repair copies a file that nobody has closed, as it comes, into one that has a duration and an index, and returns the
	// duration.
	Repair(ctx context.Context, from io.Reader, repaired, container string) (mux.Repaired, error)
}

// Notices tell others of recordings that have begun, or have come to their end.
type Notices interface {
	// Receivers names those who are to be told, ReceiversOfBeginnings those who are told when one has begun.
	Receivers(about document.Recording) []string
	ReceiversOfBeginnings(about document.Recording) []string
	// Begins says whether a receiver is one of the latter, if only of another recorder's.
	Begins(receiver string) bool
	// ReceiversOfParts names those who are to be told before parts are joined, too.
	ReceiversOfParts(about document.Recording) []string
	// Deliver tells one of them. The error says that it should be tried again.
	Deliver(ctx context.Context, receiver string, r document.Recording) error
}

// World is what a recorder needs of the world.
type World struct {
	Rooms            recording.Rooms
	Starts, Controls *queue.Queue
	// Store keeps entries and documents, Storage media files.
	Store   ledger.Store
	Storage Storage
	Media   Media
	Disk    scratch.Disk
	Notices Notices
	// Ready says whether this recorder could take another recording: LiveKit can be reached, and there are processors
	// left.
	Ready func() bool
	// Now is the time by the clock that all recorders are set by.
	Now func() time.Time
	Log logrus.FieldLogger
}

// Recorder is one recorder.
type Recorder struct {
	Recordings *recording.Recordings
	Space      *scratch.Space

	settings  Settings
	world     World
	documents ledger.Documents
	owned     *scratch.Owned
	recovery  *recovery.Recovery
	joiner    *joining.Joiner
	worker    *worker.Worker
	ending    atomic.Bool
}

// New makes a recorder, and its directory on the disk.
func New(s Settings, w World) (*Recorder, error) {
	owned, err := scratch.Open(w.Disk, s.Scratch, s.Names.Recorder)
	if err != nil {
		return nil, err
	}

	documents, books := ledger.Documents{Store: w.Store}, &ledger.Ledger{Store: w.Store}
	r := &Recorder{settings: s, world: w, documents: documents, owned: owned}
	r.recovery = (&recovery.Recovery{
		Storage:   w.Storage,
		Documents: documents,
		Ledger:    books,
		Disk:      w.Disk,
		Root:      s.Scratch,
		Work:      owned.Path,
		Repair:    w.Media.Repair,
		New:       s.Names.Document,
		Send:      r.send,
		Tell:      r.tellAll,
		Log:       w.Log,
	}).Init()
	r.Recordings = &recording.Recordings{
		World: recording.World{
			Rooms:     w.Rooms,
			Open:      w.Media.Open,
			Storage:   w.Storage,
			Documents: documents,
			Ledger:    books,
			Recovery:  r.recovery,
			Scratch:   owned,
			Tell:      r.tell,
			Now:       w.Now,
			Log:       w.Log,
		},
		Names:  s.Names,
		Policy: s.Policy,
	}
	r.Recordings.World.TellBegun = r.tellBegun
	r.Recordings.World.Awaited = func(about document.Recording) bool {
		return len(w.Notices.ReceiversOfBeginnings(about)) > 0
	}
	r.joiner = &joining.Joiner{
		Storage:   w.Storage,
		Documents: documents,
		Media:     w.Media,
		Disk:      w.Disk,
		Work:      owned.Path,
		Log:       w.Log,
	}
	r.Space = &scratch.Space{
		Disk:      w.Disk,
		Directory: owned.Path,
		Limit:     s.ScratchLimit,
		EndNewest: r.Recordings.EndNewest,
		Log:       w.Log,
	}
	r.worker = r.newWorker()
	return r, nil
}

func (r *Recorder) newWorker() *worker.Worker {
	return &worker.Worker{
		Starts:        r.world.Starts,
		Controls:      r.world.Controls,
		Start:         r.start,
		GiveUp:        r.giveUp,
		Doubt:         r.Recordings.Check,
		Carry:         worker.Carry{Stop: r.Recordings.Stop, Notify: r.notify, Join: r.join},
		MaxRecordings: r.settings.MaxRecordings,
		Hold:          r.settings.Hold,
		Ready:         r.Ready,
		Log:           r.world.Log,
	}
}

// Ending says that it shuts down.
func (r *Recorder) Ending() bool { return r.ending.Load() }

// Free is how many more recordings there are places for.
func (r *Recorder) Free() int { return r.worker.Free() }

// Ready says whether another recording can be taken.
func (r *Recorder) Ready() bool { return r.world.Ready() && !r.Space.Full() }

// outcomes are what becomes of a message, by how the hold on its recording has ended.
var outcomes = map[recording.Outcome]worker.Outcome{
	recording.Done:        worker.Done,
	recording.Refused:     worker.Refused,
	recording.Offered:     worker.Offered,
	recording.LeftToOwner: worker.Left,
	recording.TryAgain:    worker.TryAgain,
	recording.Elsewhere:   worker.Elsewhere,
}

func (r *Recorder) start(ctx context.Context, c command.Command, b *worker.Baton) worker.Ending {
	result := r.Recordings.Record(ctx, c, b)
	return worker.Ending{Outcome: outcomes[result.Outcome], Owner: result.Message}
}

// giveUp gives up a start, or one that has been found dead.
func (r *Recorder) giveUp(ctx context.Context, c command.Command, dead bool) error {
	if dead {
		return r.Recordings.Bury(ctx, c)
	}
	return r.Recordings.GiveUp(ctx, c)
}

// Run works until ctx is done; then it gives its recordings to other recorders, and closes and stores every file. What
// is not stored within the stop timeout stays on the disk: that is the error.
func (r *Recorder) Run(ctx context.Context) error {
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	force, forced := context.WithCancel(background)
	defer forced()
	stopping := context.AfterFunc(ctx, func() {
		r.ending.Store(true)
		r.world.Log.WithField("recordings", r.Recordings.Running()).Info("shutting down: closing and storing every file")
		time.AfterFunc(r.settings.StopTimeout, forced)
	})
	defer stopping()

	var rest sync.WaitGroup
	rest.Go(func() { r.Space.Run(background) }) // what runs must be kept within bounds to the end
	rest.Go(func() { r.recovery.Run(ctx) })
	r.worker.Run(ctx, force)
	left := force.Err() != nil
	end()
	rest.Wait()

	if err := r.owned.Close(); err != nil || left {
		return fmt.Errorf("not everything was stored within %s, the rest is in %s", r.settings.StopTimeout,
			filepath.Join(r.settings.Scratch, r.settings.Names.Recorder))
	}
	r.world.Log.Info("recorder ended")
	return nil
}

// Look makes a recording look at the ledger now, if it is here: another recorder says that it may have been stopped.
func (r *Recorder) Look(recording string) { r.Recordings.Check(recording) }
