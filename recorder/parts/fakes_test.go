package parts

import (
	"context"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

var day = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// fakeTrack is a track whose timestamps are milliseconds. Of video, it plays the encoder as well.
type fakeTrack struct {
	sid    string
	codec  track.Codec
	config track.Config
	synced bool
	shift  time.Duration // what the sender report will say
	stats  track.Stats

	from, every time.Duration // when its frames come
	begun       bool
	deaf        bool // does not care for requests
	requests    int  // for key frames
	keyed       bool // the newest request has been met
}

func newTrack(sid, mime string) *fakeTrack {
	codec, _ := track.CodecOf(mime)
	t := &fakeTrack{
		sid:    sid,
		codec:  codec,
		synced: true,
		every:  20 * ms,
	}
	if codec.Kind == track.Video {
		t.every = 40 * ms
	}
	return t
}

func synced(sid string) *fakeTrack { return newTrack(sid, "audio/opus") }

func (f *fakeTrack) SID() string                        { return f.sid }
func (f *fakeTrack) Source() string                     { return "source of " + f.sid }
func (f *fakeTrack) Codec() track.Codec                 { return f.codec }
func (f *fakeTrack) Stats() track.Stats                 { return f.stats }
func (f *fakeTrack) Synced() bool                       { return f.synced }
func (f *fakeTrack) ClockOffset() time.Duration         { return time.Second }
func (f *fakeTrack) Settle(frame track.Frame) time.Time { return f.Time(frame) }
func (f *fakeTrack) RequestKeyFrame()                   { f.requests, f.keyed = f.requests+1, f.deaf }

func (f *fakeTrack) Time(frame track.Frame) time.Time {
	at := day.Add(time.Duration(frame.Timestamp) * time.Millisecond)
	if f.synced {
		at = at.Add(f.shift)
	}
	return at
}

// frame is the next one that the track sends. Its data ends with the track's name.
func (f *fakeTrack) frame(at time.Duration) track.Frame {
	frame := track.Frame{
		Data:      append([]byte{0xf8, 1, 2}, f.sid...), // Opus, 20 ms
		Key:       true,
		Timestamp: at.Milliseconds(),
		Config:    f.config,
	}
	if f.codec.Kind == track.Audio {
		frame.Duration = 20 * ms
		return frame
	}

	frame.Data, frame.Key = []byte(f.sid), !f.keyed
	f.keyed = true
	return frame
}

func frameAt(ms int64) track.Frame { return track.Frame{Timestamp: ms} }

type written struct {
	stream int
	at     time.Duration
	key    bool
	data   string
	length time.Duration // of audio
}

// fakeFile remembers what is written to it.
type fakeFile struct {
	path     string
	streams  []mux.Stream
	frames   []written
	broken   error // what writing returns
	unclosed error // what closing returns
}

func (f *fakeFile) Write(stream int, at time.Duration, key bool, data []byte) error {
	if f.broken != nil {
		return f.broken
	}
	f.frames = append(f.frames, written{
		stream: stream,
		at:     at,
		key:    key,
		data:   string(data),
		length: time.Duration(opus.PacketDuration2(data)) * time.Second / 48000,
	})
	return nil
}

func (f *fakeFile) Close(context.Context) error { return f.unclosed }
func (f *fakeFile) Complaints() string          { return "nothing much" }

// of returns the frames of one kind.
func (f *fakeFile) of(kind track.Kind) (frames []written) {
	for _, w := range f.frames {
		if f.streams[w.stream].Codec.Kind == kind {
			frames = append(frames, w)
		}
	}
	return frames
}

// fakeUpload is stored at once, unless there is an error left to return.
type fakeUpload struct {
	path, asked string

	mu     sync.Mutex
	errors []error
	tries  int
	stored string // the name under which it is, if not the one that was asked for
	torn   bool   // and then there are zeros in it
	panics bool   // it has a fault in its code
	left   int    // how often it was left
	broken bool
}

func (u *fakeUpload) Broken() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.broken
}

func (u *fakeUpload) Torn() bool { return u.torn }

func (u *fakeUpload) Leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left++
}

func (u *fakeUpload) Finish(context.Context) (name string, size int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()

	u.tries++
	if u.panics {
		panic("an index is out of range")
	}
	if len(u.errors) > 0 {
		err, u.errors = u.errors[0], u.errors[1:]
		return "", 0, err
	}
	if u.stored != "" {
		return u.stored, 1000, nil
	}
	return u.asked, 1000, nil
}
