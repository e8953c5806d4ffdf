package simulate

import (
	"fmt"
	"sync"
	"time"

	"livekit-recorder/recorder/track"
)

// frameInterval is the time between two frames of a track. Few events make a fast simulation.
const frameInterval = 500 * time.Millisecond

// keyEvery is how many pictures of a camera lie between two that can be decoded alone.
const keyEvery = 4

// people is who is in which room, and what they send. One lock guards it all; nothing blocks under it.
type people struct {
	mu     sync.Mutex
	all    map[string]*person
	names  []string // in order
	nextID int
}

// person is somebody, there or not.
type person struct {
	identity, room string
	sessions       []*session // the last one may be going on
	deadlyUntil    time.Time  // its frames kill recorders until then
}

// session is one stay in the room.
type session struct {
	sid    string
	joined time.Time
	left   time.Time // zero while it goes on
	sent   []*source
}

// source is a published track.
type source struct {
	sid, name string
	codec     track.Codec
	session   *session
	muted     bool
	wantKey   bool
	frames    []sent
}

// sent is a frame that was published.
type sent struct {
	number int64
	at     time.Time
}

func newPeople(n int) *people {
	p := &people{all: map[string]*person{}}
	for i := range n {
		name := fmt.Sprintf("person%d", i)
		p.names = append(p.names, name)
		p.all[name] = &person{identity: name, room: fmt.Sprintf("room%d", i*2/max(n, 1))}
	}
	return p
}

// now is the session that goes on; nil if the person is away.
func (p *person) now() *session {
	if len(p.sessions) == 0 || !p.sessions[len(p.sessions)-1].left.IsZero() {
		return nil
	}
	return p.sessions[len(p.sessions)-1]
}

// join begins a session with camera and microphone. The lock is held.
func (w *people) join(p *person) *session {
	w.nextID++
	s := &session{sid: fmt.Sprintf("PA_%s_%d", p.identity, w.nextID), joined: time.Now()}
	for _, kind := range []struct{ name, mime string }{{"microphone", "audio/opus"}, {"camera", "video/vp8"}} {
		w.nextID++
		codec, _ := track.CodecOf(kind.mime) // both are in the table
		s.sent = append(s.sent, &source{
			sid:     fmt.Sprintf("TR_%s%d", kind.name[:3], w.nextID),
			name:    kind.name,
			codec:   codec,
			session: s,
		})
	}

	p.sessions = append(p.sessions, s)
	return s
}

// next makes a source's next frame; none while it is muted. The lock is held.
func (s *source) next(identity string, now time.Time) (f track.Frame, ok bool) {
	if s.muted {
		return f, false
	}
	number := int64(len(s.frames))
	s.frames = append(s.frames, sent{number, now})

	f.Data = stamp{identity, s.sid, number, now}.payload()
	f.Timestamp = int64(now.Sub(s.session.joined).Seconds() * float64(s.codec.ClockRate))
	if s.codec.Kind == track.Audio {
		f.Key, f.Duration, f.Config.Channels = true, frameInterval, 2
		return f, true
	}
	f.Key = s.wantKey || number%keyEvery == 0
	f.Config.Width, f.Config.Height = 640, 360
	s.wantKey = false
	return f, true
}

// capturedAt is when a frame was captured, by its timestamp.
func (s *source) capturedAt(f track.Frame) time.Time {
	seconds := float64(f.Timestamp) / float64(s.codec.ClockRate)
	return s.session.joined.Add(time.Duration(seconds * float64(time.Second)).Round(time.Millisecond))
}
