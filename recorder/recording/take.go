package recording

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/room"
	"livekit-recorder/shared/command"
	"livekit-recorder/shared/ledger"
)

// Reasons why a recording ended or failed, as documents have them.
const (
	reasonLeft      = "the participant left"
	reasonRoomEnded = "the room was closed"
	reasonMaximum   = "the maximum duration was reached"
	reasonNotJoined = "participant did not join"
	reasonNoMedia   = "nothing was published that could be recorded"
	reasonWriting   = "files could not be written, again and again"
	reasonConnect   = "the connection to LiveKit was lost: "
)

const (
	// ledgerInterval is how often a recording checks that it is still wanted, and still ours.
	ledgerInterval = 5 * time.Second
	// saveInterval is how often a document is saved in which nothing but numbers has changed.
	saveInterval = time.Minute
	// tick is how often frames that wait for others are looked after.
	tick = 250 * time.Millisecond
	// linger is how long the last packets of somebody who has left may take.
	linger = 1500 * time.Millisecond
	// rejoinPause is the pause between two attempts to get into the room.
	rejoinPause = 500 * time.Millisecond
	// insistFor is how long the bucket may be out of reach before what should go there is given up.
	insistFor = 30 * time.Minute
	// maxPause is the longest pause between two attempts at that, give or take half of it.
	maxPause = 10 * time.Second
)

// take is one recording as this recorder carries it through.
type take struct {
	*Studio
	command  command.Command
	offer    func()
	composer *composer
	log      logrus.FieldLogger
	poked    chan struct{}

	mu       sync.Mutex // guards what the goroutines that claim, watch and recover have to do with:
	document ledger.Recording
	earlier  []ledger.Part // by earlier owners
	heard    time.Time     // when the first frame came

	claims     chan claim    // what the bucket says to the start: one, which adopt takes
	adopted    chan struct{} // closed when it has said that this recorder has the recording
	refusal    *claim        // when it has said that it has not
	recovering sync.WaitGroup

	joined       bool            // the participant is in the room
	seen         bool            // the participant has been in the room
	unrecordable string          // MIME type of a track that could not be recorded
	reason       string          // why it ended
	cause        error           // the same, if it was ended from outside
	taken        bool            // another recorder goes on with it
	handedOver   <-chan struct{} // closed when another recorder's part runs, or none will; nil before the hand-over begins
	endHandOver  func()          // ends the waiting for one

	began    time.Time               // guarded by the studio's lock, as are:
	end      context.CancelCauseFunc // ends the recording
	squeezed bool                    // it has been ended for want of scratch space
	leaving  bool                    // it is handed over: a start of it is not another copy of its own
}

// directory is where this take's files grow: its epoch is 0 before the bucket has answered. A recorder can come to have a
// recording a second time while it still finishes its first part of it.
func (t *take) directory() string {
	return filepath.Join(t.Scratch, fmt.Sprintf("%s.%d", t.document.ID, t.document.Epoch))
}

// poke wakes the watch goroutine.
func (t *take) poke() {
	select {
	case t.poked <- struct{}{}:
	default:
	}
}

// run records until something ends it, and leaves the reason in t.
func (t *take) run(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	t.Studio.mu.Lock()
	t.began, t.end = time.Now(), cancel
	t.Studio.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(func() { t.watch(ctx, cancel) })
	t.follow(ctx)
	cancel(nil)
	watching.Wait()
}

// follow stays in the room, and comes back when the connection is lost.
func (t *take) follow(ctx context.Context) {
	absent := time.NewTimer(t.StartTimeout) // runs while the participant is not there
	defer absent.Stop()
	if t.absence() == reasonLeft {
		absent.Reset(t.RejoinWindow)
	}
	maximum := time.NewTimer(t.MaxDuration)
	defer maximum.Stop()
	if t.MaxDuration == 0 {
		maximum.Stop()
	}
	for {
		err, ended := t.stay(ctx, absent, maximum)
		if ended {
			return
		}
		t.log.WithError(err).Warn("not in the room, trying again")
		if t.joined {
			t.leave()
			absent.Reset(t.RejoinWindow)
		}
		if t.reason = reasonConnect + err.Error(); errors.Is(err, errEmpty) {
			t.reason = t.absence()
		}
		select {
		case <-t.stopped(ctx):
			if t.interrupted(ctx) {
				return
			}
		case <-t.handedOver:
			return
		case c := <-t.claims:
			if t.answered(c, absent); t.refusal != nil {
				return
			}
		case <-absent.C:
			return
		case <-time.After(rejoinPause):
		}
	}
}

var (
	errEmpty    = errors.New("the room was closed while the participant was not there")
	errDeparted = errors.New(reasonLeft)
)

// stay records while the bot is in the room. It returns ended if the recording has ended, with its reason in t, or else
// why the bot is out of the room.
func (t *take) stay(ctx context.Context, absent, maximum *time.Timer) (err error, ended bool) {
	following := t.Rooms.Follow(t.command.Room, interest(t.command), t.log)
	defer following.Close()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var departed <-chan time.Time
	for {
		select {
		case <-t.stopped(ctx):
			if !t.interrupted(ctx) {
				continue
			}
			if t.cause != errDeparted || t.composer.frames.live() == 0 {
				return nil, true
			}
			departed = time.After(linger)
		case <-departed:
			return nil, true
		case <-t.handedOver:
			return nil, true
		case c := <-t.claims:
			if t.answered(c, absent); t.refusal != nil {
				return nil, true
			}
		case <-absent.C:
			t.reason = t.absence()
			return nil, true
		case <-maximum.C:
			t.reason = reasonMaximum
			return nil, true
		case now := <-ticker.C:
			t.composer.advance(now, false)
			if t.composer.failures > maxFailures {
				t.reason = reasonWriting
				return nil, true
			}
		case event := <-following.Events():
			switch e := event.(type) {
			case room.Joined:
				absent.Stop()
				t.join(e.Session)
			case room.Left:
				t.leave()
				absent.Reset(t.RejoinWindow)
			case room.Closed:
				switch {
				case t.cause == errDeparted:
					return nil, true
				case e.Err != nil:
					return e.Err, false
				case !t.joined:
					return errEmpty, false // the server closes rooms that stay empty
				}
				t.reason = reasonRoomEnded
				return nil, true
			case room.TrackEnded:
				t.composer.frames.end(e.Track)
				if t.cause == errDeparted && t.composer.frames.live() == 0 {
					return nil, true
				}
			default:
				t.media(event)
			}
		}
	}
}

// absence is why a recording ends whose participant has not been in the room for too long.
func (t *take) absence() string {
	if t.seen || len(t.current().Parts) > 0 {
		return reasonLeft
	}
	return reasonNotJoined
}

// answered is told when the bucket answers while recording goes on.
func (t *take) answered(c claim, absent *time.Timer) {
	t.adopt(c)
	if t.owned() && !t.joined && t.absence() == reasonLeft {
		absent.Reset(t.RejoinWindow) // another recorder has seen them
	}
}

// stopped is closed when something ends the recording from outside; that is told once. What has been recorded without the
// bucket cannot be handed over before it has answered.
func (t *take) stopped(ctx context.Context) <-chan struct{} {
	if t.cause != nil || !t.owned() && !t.since().IsZero() && errors.Is(context.Cause(ctx), command.ErrHandOver) {
		return nil
	}
	return ctx.Done()
}

// interrupted notes what ends the recording from outside. It says no if the recording goes on for now, until another
// recorder has it.
func (t *take) interrupted(ctx context.Context) (ends bool) {
	t.cause = context.Cause(ctx)
	t.reason = t.cause.Error()
	if errors.Is(t.cause, command.ErrHandOver) {
		t.Studio.mu.Lock()
		t.leaving = true
		t.Studio.mu.Unlock()
	}
	t.handedOver = t.handOver()
	return t.handedOver == nil
}

func (t *take) join(session string) {
	t.log.WithField("session", session).Info("participant is here")
	t.joined, t.seen = true, true
	t.mu.Lock()
	t.document.Session = session
	t.mu.Unlock()
	t.poke()
}

// leave takes note that the participant is away. Whether for good is not known yet: a webhook may tell at once, by way
// of the ledger, or else RejoinWindow passes.
func (t *take) leave() {
	t.log.Info("participant is away")
	t.joined = false
	t.poke()
}

func (t *take) media(event room.Event) {
	now := time.Now()
	switch e := event.(type) {
	case room.TrackStarted:
		t.composer.begin(e.Track)
	case room.TrackFrame:
		if t.heard.IsZero() { // nobody else writes it
			t.mu.Lock()
			t.heard = now
			t.mu.Unlock()
		}
		t.composer.frames.push(e.Track, e.Frame, now)
		t.composer.advance(now, false)
	case room.TrackMuted:
		t.composer.mutes.set(e.SID, e.Muted, now)
	case room.Unrecordable:
		t.unrecordable = e.MIME
		t.log.WithFields(logrus.Fields{"track": e.SID, "codec": e.MIME}).Error("this codec cannot be recorded")
	}
}
