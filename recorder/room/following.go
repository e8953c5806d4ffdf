package room

import (
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/guard"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// Interest says whom to follow, and which of their tracks.
type Interest struct {
	Identity string
	// Tracks has track SIDs, or sources by the names of [SourceName].
	Tracks []string
}

func (i Interest) wants(sid string, source livekit.TrackSource) bool {
	return i.names(sid) || slices.Contains(i.Tracks, SourceName(source))
}

// names says whether a track is asked for by its SID.
func (i Interest) names(sid string) bool { return slices.Contains(i.Tracks, sid) }

// SourceName is a source as REST calls and documents name it.
func SourceName(source livekit.TrackSource) string {
	switch source {
	case livekit.TrackSource_CAMERA:
		return "camera"
	case livekit.TrackSource_MICROPHONE:
		return "microphone"
	case livekit.TrackSource_SCREEN_SHARE:
		return "screen_share"
	case livekit.TrackSource_SCREEN_SHARE_AUDIO:
		return "screen_share_audio"
	}

	return "unknown"
}

// Event is something that happened to the followed participant. It is one of the types below.
type Event any

// Connected says that the bot is in the room. It comes first.
type Connected struct{}

// Joined says that the participant is in the room, in the session with that SID. It comes again when the SID changes.
type Joined struct{ Session string }

// Described is what LiveKit says of the participant. It comes before [Joined], and again when that changes.
type Described struct{ Profile document.Profile }

// Left says that the participant has gone.
type Left struct{}

// TrackStarted says that the first packet of a track has come. Its frames follow as [TrackFrame]s.
type TrackStarted struct{ Track parts.Track }

// TrackFrame is a frame of a track.
type TrackFrame struct {
	Track parts.Track
	Frame track.Frame
}

// TrackEnded says that no more frames of a track will come.
type TrackEnded struct{ Track parts.Track }

// TrackMuted says that the publisher has muted or unmuted a track. It comes by signalling: some frames earlier or
// later.
type TrackMuted struct {
	SID   string
	Muted bool
}

// Unrecordable says that a track cannot be recorded, and why. Nothing comes of it, or nothing more.
type Unrecordable document.Unrecorded

// Closed says that the bot is no longer in the room, and that no more events will come. Err is nil if the room was
// closed or the bot was put out of it.
type Closed struct{ Err error }

// Following is one recording's view of one participant.
type Following struct {
	bot      *bot
	interest Interest
	log      logrus.FieldLogger
	events   chan Event
	backlog  *backlog

	closed    chan struct{}
	closeOnce sync.Once
	// session is the participant's SID as last told, empty while they are away; refused are the tracks of theirs of which
	// it was told that they cannot be recorded; tooMany says that they have more tracks than are received. Only the bot's
	// goroutine touches them.
	session string
	profile document.Profile // as last told, while they are there
	refused map[string]bool
	tooMany bool
}

func newFollowing(interest Interest, log logrus.FieldLogger) *Following {
	return &Following{
		interest: interest,
		log:      log,
		events:   make(chan Event),
		backlog:  newBacklog(),
		refused:  map[string]bool{},
		closed:   make(chan struct{}),
	}
}

// Events are what happens, in order. They must be taken until [Following.Close]; of who is far behind, the oldest
// frames are left out.
func (f *Following) Events() <-chan Event { return f.events }

// Close ends the following. When nobody is followed in a room any more, the bot leaves it.
func (f *Following) Close() {
	f.closeOnce.Do(func() { close(f.closed) })
	f.backlog.discard()
	f.bot.post(func() { f.bot.remove(f) })
}

// send hands an event over. It does not wait for the follower. A panic costs this follower the rest, and no other.
func (f *Following) send(e Event) {
	if err := guard.Run(f.log, "hand an event to a recording", func() { f.put(e) }); err != nil {
		f.backlog.fail(err)
	}
}

func (f *Following) put(e Event) {
	lost := f.backlog.put(e, time.Now())
	if lost.frames > 0 {
		f.log.WithField("droppedFrames", lost.frames).Warn("the recording is behind, the oldest frames are left out")
	}
	for _, t := range lost.ask {
		t.RequestKeyFrame()
	}
}

// run brings events to the follower, until it has gone or was told that nothing more will come. It is told, too, if a
// panic ends that.
func (f *Following) run() {
	err := guard.Run(f.log, "bring events to a recording", f.deliver)
	if err == nil {
		return
	}
	select {
	case f.events <- Closed{Err: err}:
	case <-f.closed:
	}
}

// deliverEvery is how long frames wait for others at most, so that a recording is woken a few times a second. What else
// happens does not wait, nor do the frames before it.
const deliverEvery = 100 * time.Millisecond

func (f *Following) deliver() {
	for {
		e, ok := f.backlog.take()
		if !ok {
			if !f.await() {
				return
			}
			continue
		}

		select {
		case f.events <- e:
		case <-f.closed:
			return
		}
		if _, last := e.(Closed); last {
			return
		}
	}
}

// await returns when there is something to deliver, or false if the follower has gone.
func (f *Following) await() bool {
	select {
	case <-f.backlog.wake:
	case <-f.closed:
		return false
	}

	timer := time.NewTimer(track.UntilInstant(deliverEvery))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.backlog.urgent:
	case <-f.closed:
		return false
	}
	return true
}
