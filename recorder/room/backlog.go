package room

import (
	"errors"
	"sync"
	"time"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/track"
)

// How far a follower may be behind. Whoever records writes to a disk and to a process, and both may hang: nobody else
// in the room may notice.
const (
	// maxFramesBehind is 25 seconds of a camera and a microphone, and maxBytesBehind 25 seconds of 10 Mbit/s.
	maxFramesBehind = 2048
	maxBytesBehind  = 32 << 20
	// maxEventsBehind is how many other events may wait, none of which can be left out.
	maxEventsBehind = 4096
	// keyFramePause is the least time between two requests for key frames.
	keyFramePause = time.Second
)

// behind counts the frames that are left out, for operators.
var behind = metrics.FramesDropped.With("behind")

// errBehind says that a follower was put out because it had taken nothing for too long.
var errBehind = errors.New("the recording was too far behind what happens in the room")

// backlog is what a follower has not taken yet, in order. It never has to be waited for: if there is too much, the
// oldest frames are left out.
type backlog struct {
	wake   chan struct{} // has an item when something has come
	urgent chan struct{} // has one when that is no frame

	mu      sync.Mutex // guards:
	events  []Event
	frames  int // of the events
	bytes   int // of the frames
	live    map[parts.Track]bool
	torn    map[parts.Track]bool // frames are missing since the last one that was kept
	dropped int                  // frames, so far
	asked   time.Time            // when key frames were last requested
	over    bool                 // nothing is taken any more
	share   *track.Share
}

func newBacklog() *backlog {
	return &backlog{
		wake:   make(chan struct{}, 1),
		urgent: make(chan struct{}, 1),
		live:   map[parts.Track]bool{},
		torn:   map[parts.Track]bool{},
		share:  track.NewShare(),
	}
}

// loss is what was left out for want of room.
type loss struct {
	frames int           // so far, if there was too much just now
	ask    []parts.Track // whose key frames are to be requested now
}

// put adds an event.
func (b *backlog) put(e Event, now time.Time) (lost loss) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return lost
	}

	b.add(e)
	b.share.Set(b.bytes)
	switch {
	case b.frames > maxFramesBehind || b.bytes > maxBytesBehind:
		b.thin(maxBytesBehind)
		lost.frames = b.dropped
	case b.share.TooMuch():
		b.thin(track.FairShare)
		lost.frames = b.dropped
	}
	b.share.Set(b.bytes)
	if len(b.events)-b.frames > maxEventsBehind {
		b.giveUp(errBehind)
	}
	lost.ask = b.needing(now)

	signal(b.wake)
	if _, frame := e.(TrackFrame); !frame || b.over {
		signal(b.urgent)
	}
	return lost
}

// signal says that something has come.
func signal(come chan struct{}) {
	select {
	case come <- struct{}{}:
	default:
	}
}

// add appends an event, unless it is a frame that cannot be decoded.
func (b *backlog) add(e Event) {
	switch e := e.(type) {
	case TrackFrame:
		if e, ok := b.mend(e); ok {
			b.events = append(b.events, e)
			b.frames++
			b.bytes += e.Frame.Cost()
		}
		return
	case TrackStarted:
		b.live[e.Track] = true
	case TrackEnded:
		delete(b.live, e.Track)
		delete(b.torn, e.Track)
	case Closed:
		b.over = true
	}
	b.events = append(b.events, e)
}

// mend says whether a frame can be decoded, with what is left out before it; it is marked then as the first one behind
// a loss.
func (b *backlog) mend(e TrackFrame) (TrackFrame, bool) {
	switch {
	case !b.torn[e.Track]:
	case e.Track.Codec().Kind == track.Video && !e.Frame.Key:
		b.drop()
		return e, false
	default:
		delete(b.torn, e.Track)
		e.Frame.AfterLoss = true
	}
	return e, true
}

// drop counts a frame that is left out.
func (b *backlog) drop() {
	b.dropped++
	behind.Inc()
}

// thin leaves out older frames until half of what may be is left, and what cannot be decoded without them.
func (b *backlog) thin(mostBytes int) {
	events, frames, bytes := b.events, b.frames, b.bytes
	b.events, b.frames, b.bytes = nil, 0, 0

	for _, e := range events {
		f, ok := e.(TrackFrame)
		if ok && (frames > maxFramesBehind/2 || bytes > mostBytes/2) {
			frames--
			bytes -= f.Frame.Cost()
			b.torn[f.Track] = true
			b.drop()
			continue
		}
		b.add(e)
	}
}

// fail ends everything for a fault of the code.
func (b *backlog) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.giveUp(err)
	}
	signal(b.wake)
	signal(b.urgent)
}

// giveUp ends everything: the follower may begin anew when it can.
func (b *backlog) giveUp(err error) {
	for t := range b.live {
		b.events = append(b.events, TrackEnded{t})
	}
	b.events = append(b.events, Closed{Err: err})
	b.over = true
}

// needing returns the tracks that cannot go on without a key frame, each second.
func (b *backlog) needing(now time.Time) (tracks []parts.Track) {
	if len(b.torn) == 0 || now.Sub(b.asked) < keyFramePause {
		return nil
	}
	for t := range b.torn {
		if t.Codec().Kind == track.Video {
			tracks = append(tracks, t)
		}
	}
	if len(tracks) > 0 {
		b.asked = now
	}
	return tracks
}

// take returns the next event, if there is one.
func (b *backlog) take() (next Event, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) == 0 {
		return nil, false
	}

	next, b.events[0] = b.events[0], nil
	b.events = b.events[1:]
	if f, ok := next.(TrackFrame); ok {
		b.frames--
		b.bytes -= f.Frame.Cost()
		b.share.Set(b.bytes)
	}
	return next, true
}

// discard lets go of everything: the follower has gone.
func (b *backlog) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over, b.events, b.frames, b.bytes = true, nil, 0, 0
	b.share.Set(0)
	clear(b.live)
	clear(b.torn)
}
