// Package recording carries one recording through: it waits for the participant, makes parts of what they say and show,
// and keeps the recording's document true.
package recording

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// Studio has what all recordings of a recorder share.
type Studio struct {
	Rooms     *room.Pool
	FFmpeg    mux.FFmpeg
	Storage   Storage
	Documents ledger.Documents
	Ledger    *ledger.Ledger
	// Scratch is the local directory for this recorder's growing files, beside those of others on the same disk.
	Scratch string
	// ScratchLimit is how many bytes all growing files together may take there; 0 is no limit but the disk's.
	ScratchLimit int64
	// StartTimeout is how long a start waits for its participant; RejoinWindow how long a lost connection, or a
	// recording that is taken over, waits for them to be there again; MaxDuration bounds a recording (0: it doesn't).
	StartTimeout, RejoinWindow, MaxDuration time.Duration
	// HandOver is how long a recording that is handed over goes on at most until another recorder has taken it up: make
	// before break. 0 ends it at once.
	HandOver time.Duration
	// Bucket is named in documents.
	Bucket string
	// FileTemplate names the files of starts that give no name of their own.
	FileTemplate string
	// Notify is told about every recording that has come to its end.
	Notify func(ledger.Recording)
	Log    logrus.FieldLogger

	lock    *os.File     // of the scratch directory
	used    atomic.Int64 // bytes of the scratch disk
	full    atomic.Bool  // the scratch space is used up
	mu      sync.Mutex
	running map[string]*take
}

// ErrStopped ends a recording because somebody asked for it. The other causes are [command.ErrHandOver] and
// [command.ErrLost].
var ErrStopped = errors.New("stopped on request")

// Check makes a recording look at the ledger now: it may have been stopped. It says whether the recording is here.
func (s *Studio) Check(recording string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.running[recording]
	if t == nil {
		return false
	}
	t.poke()
	return true
}

// Stop does what a stop command asks for: the ledger says from then on that the recordings are not wanted, and whichever
// recorder has them is told.
func (s *Studio) Stop(ctx context.Context, c command.Command) error {
	if c.Room == "" { // by id only
		document, err := s.Documents.ByID(ctx, c.Recording)
		if err != nil {
			return fmt.Errorf("find recording %s: %w", c.Recording, err)
		}
		c.Room, c.Participant = document.Room, document.Participant
	}
	ended, err := s.Ledger.Stop(ctx, c)
	if err != nil {
		return fmt.Errorf("stop recording: %w", err)
	}
	for _, claim := range ended {
		log := s.Log.WithFields(logrus.Fields{"room": c.Room, "participant": c.Participant, "recording": claim.Recording})
		log.Info("stop received")
		if s.Check(claim.Recording) {
			continue
		}
		if err := s.Rooms.TellStop(ctx, c.Room, claim.Owner, claim.Recording); err != nil {
			log.WithError(err).Info("its recorder will learn of it from the ledger")
		}
	}
	return nil
}

// Running is how many recordings there are at the moment.
func (s *Studio) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}

// Record does what a start command asks for, and returns when nothing is left to do: nil means that the command is
// done with (whatever came of it is in the document), an error that it should be tried again, here or elsewhere.
// Ctx is cancelled with one of the causes above. Offer gives the command to other recorders, which is to be done before
// the recording ends if it is to be handed over.
func (s *Studio) Record(ctx context.Context, c command.Command, offer func()) error {
	t := &take{
		Studio: s, command: c, offer: offer, document: ledger.NewRecording(c), poked: make(chan struct{}, 1),
		adopted: make(chan struct{}),
		log:     s.Log.WithFields(logrus.Fields{"room": c.Room, "participant": c.Participant, "recording": c.Recording}),
	}
	t.composer = (&composer{
		ffmpeg: s.FFmpeg, storage: s.Storage, scratch: t.directory(), log: t.log, kinds: kinds(c), opened: t.poke,
		repair: func(ctx context.Context, part *ledger.Part, name string) error {
			return t.repair(ctx, t.directory(), part, name)
		},
	}).init()
	if !s.enter(t) {
		t.log.Info("start has come in two messages, the other one is held")
		return nil
	}
	defer s.leave(t)
	return t.carryThrough(ctx)
}

// giveUpTimeout bounds the last thing that is done about a start that cannot be carried out.
const giveUpTimeout = 20 * time.Second

// GiveUp writes down that a start could not be carried out, if it can.
func (s *Studio) GiveUp(ctx context.Context, c command.Command, reason error) {
	ctx, cancel := context.WithTimeout(ctx, giveUpTimeout)
	defer cancel()
	t := &take{Studio: s, command: c, document: ledger.NewRecording(c), log: s.Log.WithField("recording", c.Recording)}
	if err := t.dismiss(ctx, "it could not be started, again and again: "+reason.Error()); err != nil {
		t.log.WithError(err).Error("nothing can be written down about it either")
	}
}

// enter notes a take, unless this recorder has the recording already, by another message, and does not hand it over.
func (s *Studio) enter(t *take) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.running[t.command.Recording]; other != nil && other.command.Message != t.command.Message && !other.leaving {
		return false
	}
	if s.running == nil {
		s.running = map[string]*take{}
	}
	s.running[t.command.Recording] = t
	return true
}

func (s *Studio) leave(t *take) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[t.command.Recording] == t { // it may have come back here meanwhile
		delete(s.running, t.command.Recording)
	}
}

// kinds are the kinds of tracks that a recording can have.
func kinds(c command.Command) []track.Kind {
	switch {
	case c.Track != "", c.Media == command.AudioOnly, c.Media == command.VideoOnly:
		return make([]track.Kind, 1) // whichever it is, the part begins with its first frame
	}
	return []track.Kind{track.Video, track.Audio}
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
	}
	return room.Interest{Identity: c.Participant, Tracks: tracks}
}
