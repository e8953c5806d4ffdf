package recording

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
)

const (
	// tick is how often frames that wait for others are looked after.
	tick = 300 * time.Millisecond
	// linger is how long the last packets of somebody who has left may take.
	linger = 1500 * time.Millisecond
	// rejoinPause is the first pause between two attempts to get into the room. It doubles, up to maxRejoinPause.
	rejoinPause    = 500 * time.Millisecond
	maxRejoinPause = 4 * time.Second
	// maxFailures is how many parts may fail before a recording is left to another recorder: a broken ffmpeg does not get
	// better by trying.
	maxFailures = 10
)

// feed brings what the bot receives into parts, and tells the recording of what it sees in the room. One goroutine runs
// it and owns the composer; others post functions to that goroutine.
type feed struct {
	composer *parts.Composer
	post     func(Event)
	log      logrus.FieldLogger
	mail     *mailbox[func()]
	// storing is closed when everything that has been closed so far is stored, or has been given up.
	storing chan struct{}

	// Owned by run:
	door      door
	following Following   // nil while out of the room
	lingering *time.Timer // runs while the last packets are waited for
	heard     bool        // a frame has come
	failed    bool        // parts cannot be written, or there would be too many
}

// door is the way into the room.
type door struct {
	follow func() Following
	wanted bool        // the bot is to be in the room
	rejoin *time.Timer // runs between two attempts
	pause  time.Duration
}

func newFeed(follow func() Following, composer *parts.Composer, post func(Event), log logrus.FieldLogger) *feed {
	f := &feed{
		composer:  composer,
		post:      post,
		log:       log,
		mail:      newMailbox[func()](),
		storing:   make(chan struct{}),
		door:      door{follow: follow, rejoin: stoppedTimer(), pause: rejoinPause},
		lingering: stoppedTimer(),
	}
	close(f.storing)
	return f
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run works until ctx is done, or a part cannot be stored for a fault of the code. That, or a fault in here, ends
// everything, before the open part is ended.
func (f *feed) run(ctx context.Context, end func()) {
	_ = guard.Run(f.log, "feed a recording", func() { f.work(ctx) }) // has been logged
	end()
	f.stop()
}

func (f *feed) work(ctx context.Context) {
	ticker := time.NewTimer(track.UntilInstant(tick))
	defer ticker.Stop()
	for !f.composer.Broken() {
		var events <-chan room.Event
		if f.following != nil {
			events = f.following.Events()
		}
		select {
		case <-ctx.Done():
			return
		case <-f.mail.C:
			for _, do := range f.mail.take() {
				do()
			}
		case event := <-events:
			f.handle(event)
		case now := <-ticker.C:
			f.composer.Advance(now)
			ticker.Reset(track.UntilInstant(tick))
		case <-f.door.rejoin.C:
			f.enter()
		case <-f.lingering.C:
			f.finish(ctx)
		}
		f.judge()
	}
}

// judge looks whether parts can be written at all, and in a number that makes sense. It says so once.
func (f *feed) judge() {
	switch {
	case f.failed:
	case f.composer.Failures() > maxFailures:
		f.failed = true
		f.post(PartsFail{})
	case f.composer.TooManyParts():
		f.failed = true
		f.post(TooManyParts{})
	}
}

// join brings the bot into the room.
func (f *feed) join() {
	f.mail.post(func() {
		f.door.wanted = true
		f.enter()
	})
}

// leaveRoom ends that.
func (f *feed) leaveRoom() { f.mail.post(f.leave) }

// name gives parts their names.
func (f *feed) name(file string, epoch int) {
	f.mail.post(func() { f.composer.Name(file, epoch) })
}

// mark marks parts as those of a recorder that is about to end.
func (f *feed) mark() { f.mail.post(f.composer.Drain) }

// close leaves the room, at once or after the last packets of somebody who has left, and ends the part. When everything
// is stored, it says so.
func (f *feed) close(ctx context.Context, wait bool) {
	f.mail.post(func() {
		if wait && f.following != nil && f.composer.Live() > 0 {
			f.lingering.Reset(linger)
			return
		}
		f.finish(ctx)
	})
}

func (f *feed) finish(ctx context.Context) {
	f.lingering.Stop()
	f.leave()
	f.composer.Close(time.Now())

	before, stored := f.storing, make(chan struct{})
	f.storing = stored
	go func() { // ends with ctx, and is waited for by the next one, or by stop
		defer close(stored)
		<-before
		if f.composer.Wait(ctx) == nil { // else everything ends
			f.post(PartsStored{})
		}
	}()
}

// stop ends the open part, whose file nobody will store: it lies on the disk.
func (f *feed) stop() {
	_ = guard.Run(f.log, "leave a room", f.leave) // has been logged
	if guard.Run(f.log, "end a part", func() { f.composer.Close(time.Now()) }) != nil {
		f.composer.Abandon()
	}
	_ = f.composer.Wait(context.Background()) // what is not stored has been logged
}

func (f *feed) enter() {
	if f.door.wanted && f.following == nil {
		f.following = f.door.follow()
	}
}

func (f *feed) leave() {
	f.door.wanted = false
	f.door.rejoin.Stop()
	if f.following != nil {
		f.following.Close()
		f.following = nil
	}
}

// handle takes what the bot says.
func (f *feed) handle(event room.Event) {
	now := time.Now()
	switch e := event.(type) {
	case room.Connected:
		f.door.pause = rejoinPause
		f.post(InRoom{})
	case room.Described:
		f.post(described{e.Profile.Bounded(), now})
	case room.Joined:
		f.log.WithField("session", e.Session).Info("participant is here")
		f.post(Joined{e.Session})
	case room.Left:
		f.log.Info("participant is away")
		f.post(Left{})
	case room.Closed:
		f.closed(e)
	case room.Unrecordable:
		f.post(unrecorded(e))
	case room.TrackStarted:
		f.composer.Begin(e.Track, now)
	case room.TrackFrame:
		if !f.heard {
			f.heard = true
			f.post(FirstFrame{})
		}
		f.composer.Push(e.Track, e.Frame, now)
	case room.TrackMuted:
		f.composer.Mute(e.SID, e.Muted, now)
	case room.TrackEnded:
		f.composer.End(e.Track)
		if f.composer.Live() == 0 {
			f.hurry()
		}
	}
}

// hurry ends the waiting for last packets: no track is left.
func (f *feed) hurry() {
	if f.lingering.Stop() {
		f.lingering.Reset(0)
	}
}

// closed is told when the bot is out of the room. It comes back, unless the recording ends.
func (f *feed) closed(e room.Closed) {
	f.following.Close()
	f.following = nil
	f.hurry()
	if e.Err != nil {
		f.log.WithError(e.Err).Warn("not in the room, trying again")
		f.post(OutOfRoom{})
	} else {
		f.log.Info("the room was closed")
		f.post(RoomClosed{})
	}
	if errors.Is(e.Err, guard.ErrPanic) {
		f.door.pause = maxRejoinPause // what has a fault may have it again at once
	}
	if f.door.wanted {
		f.door.rejoin.Reset(f.door.pause)
		f.door.pause = min(2*f.door.pause, maxRejoinPause)
	}
}
