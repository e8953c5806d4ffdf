package recording

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

const frameLength = 20 * time.Millisecond

var errDown = errors.New("LiveKit is away")

// livekit is a room in which one participant speaks whenever they are there.
type livekit struct {
	mu       sync.Mutex
	now      scene
	inside   int      // how many bots are in the room
	subjects []string // what they came for
	hints    []string // that recorders have given each other
	deaf     bool     // the recorder that a hint is for cannot be reached
	// recorders are those that hints can be given to.
	recorders map[string]*Recordings
}

// scene is what goes on there.
type scene struct {
	session string // that the participant is in; empty while they are away
	down    bool   // LiveKit cannot be reached
	closed  bool   // the room is closed
	profile document.Profile
	refuses document.UnrecordedReason // why the participant's track cannot be recorded
	silent  bool                      // the participant publishes nothing
}

func (l *livekit) set(change func(*scene)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.now)
}

func (l *livekit) comes(session string) { l.set(func(s *scene) { s.session = session }) }
func (l *livekit) goes()                { l.comes("") }
func (l *livekit) breaks()              { l.set(func(s *scene) { s.down = true }) }
func (l *livekit) works()               { l.set(func(s *scene) { s.down = false }) }

func (l *livekit) see() scene {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *livekit) bots() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inside
}

func (l *livekit) Follow(name string, interest room.Interest, _ logrus.FieldLogger) Following {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside++
	l.subjects = append(l.subjects, name+"/"+interest.Identity)
	v := &view{livekit: l, events: make(chan room.Event), left: make(chan struct{})}
	go v.run()
	return v
}

func (l *livekit) TellStop(_ context.Context, name, recorder, recording string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deaf {
		return errDown
	}
	l.hints = append(l.hints, name+" "+recorder+" "+recording)
	if told := l.recorders[recorder]; told != nil {
		told.Check(recording)
	}
	return nil
}

// view is one bot in the room.
type view struct {
	livekit *livekit
	session string           // that was last told
	profile document.Profile // the same
	events  chan room.Event
	left    chan struct{}
	once    sync.Once
}

func (v *view) Events() <-chan room.Event { return v.events }

func (v *view) Close() {
	v.once.Do(func() {
		close(v.left)
		v.livekit.mu.Lock()
		defer v.livekit.mu.Unlock()
		v.livekit.inside--
	})
}

func (v *view) say(events ...room.Event) {
	for _, e := range events {
		select {
		case v.events <- e:
		case <-v.left:
		}
	}
}

func (v *view) run() {
	if v.livekit.see().down {
		v.say(room.Closed{Err: errDown})
		return
	}
	v.say(room.Connected{})

	ticker := time.NewTicker(frameLength)
	defer ticker.Stop()
	var speaking *voice
	for {
		select {
		case <-v.left:
			return
		case <-ticker.C:
		}

		now := v.livekit.see()
		if now.down {
			v.say(room.Closed{Err: errDown})
			return
		}
		if now.closed {
			v.say(room.Closed{})
			return
		}
		speaking = v.follow(now, speaking)
		if now.session != "" && !now.profile.Equal(v.profile) {
			v.profile = now.profile
			v.say(room.Described{Profile: now.profile})
		}
		if speaking != nil {
			v.say(room.TrackFrame{Track: speaking, Frame: speaking.frame()})
		}
	}
}

// follow tells of the coming and going of the participant.
func (v *view) follow(now scene, speaking *voice) *voice {
	if speaking != nil && speaking.session != now.session {
		v.say(room.TrackEnded{Track: speaking}, room.Left{})
		speaking = nil
	}
	if speaking == nil && v.session != "" && now.session == "" {
		v.session = ""
		v.say(room.Left{})
	}
	if speaking != nil && now.silent {
		v.say(room.TrackEnded{Track: speaking})
		return nil
	}
	if speaking == nil && now.session != "" && (now.session != v.session || now.refuses == "" && !now.silent) {
		v.session = now.session
		v.say(room.Described{Profile: now.profile}, room.Joined{Session: now.session})
		if now.refuses != "" {
			v.say(room.Unrecordable{SID: "TR_X", Source: "microphone", Codec: "opus", Reason: now.refuses})
			return nil
		}
		if now.silent {
			return nil
		}
		speaking = &voice{session: now.session}
		v.say(room.TrackStarted{Track: speaking}, room.TrackMuted{SID: speaking.SID()})
	}
	return speaking
}

// voice is a microphone. Its timestamps are milliseconds.
type voice struct{ session string }

func (v *voice) SID() string                        { return "TR_" + v.session }
func (v *voice) Source() string                     { return "microphone" }
func (v *voice) Stats() track.Stats                 { return track.Stats{} }
func (v *voice) Synced() bool                       { return true }
func (v *voice) ClockOffset() time.Duration         { return 0 }
func (v *voice) RequestKeyFrame()                   {}
func (v *voice) Time(frame track.Frame) time.Time   { return time.UnixMilli(frame.Timestamp) }
func (v *voice) Settle(frame track.Frame) time.Time { return v.Time(frame) }

func (v *voice) Codec() track.Codec {
	codec, _ := track.CodecOf("audio/opus")
	return codec
}

func (v *voice) frame() track.Frame {
	return track.Frame{
		Data:      []byte{0xf8, 1, 2}, // Opus, 20 ms
		Key:       true,
		Duration:  frameLength,
		Timestamp: time.Now().UnixMilli(),
	}
}
