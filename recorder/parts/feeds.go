package parts

import (
	"time"

	"livekit-recorder/recorder/track"
)

// keyFramePause is the least time between two requests for the key frame that is still missing.
const keyFramePause = time.Second

// feeds knows which track feeds each kind, and whether video has to begin anew.
type feeds struct {
	order   map[Track]int // in which tracks began
	current map[track.Kind]Track
	needKey bool      // video goes on with a key frame
	asked   time.Time // when one was last requested
}

func newFeeds() *feeds {
	return &feeds{
		order:   map[Track]int{},
		current: map[track.Kind]Track{},
		needKey: true,
	}
}

func (f *feeds) begin(t Track) { f.order[t] = len(f.order) }

// accept says whether a frame belongs into the recording. A newer track takes over at its first frame, for good:
// after a reconnect of the participant both exist for a while.
func (f *feeds) accept(q queued, now time.Time) bool {
	kind := q.kind()
	if fed := f.current[kind]; fed == nil || f.order[q.track] > f.order[fed] {
		f.current[kind] = q.track
	}
	if !f.feeding(q) {
		return false
	}

	if kind == track.Video && f.needKey && !q.frame.Key {
		if now.Sub(f.asked) >= keyFramePause { // a request may get lost
			f.requestKeyFrame(now)
		}
		return false
	}
	if kind == track.Video {
		f.needKey = false
	}
	return true
}

// feeding says whether a frame is of the track that feeds its kind at the moment.
func (f *feeds) feeding(q queued) bool { return f.current[q.kind()] == q.track }

func (f *feeds) requestKeyFrame(now time.Time) {
	if t := f.current[track.Video]; t != nil {
		f.asked = now
		t.RequestKeyFrame()
	}
}
