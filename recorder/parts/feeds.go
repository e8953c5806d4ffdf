package parts

import (
	"time"

	"livekit-recorder/recorder/track"
)

// keyFramePause is the least time between two requests for the key frame that is still missing.
const keyFramePause = time.Second

// feeds knows which track feeds each kind, and whether video has to begin anew.
type feeds struct {
	current map[track.Kind]feeding
	needKey bool      // video goes on with a key frame
	asked   time.Time // when one was last requested
}

// feeding is a track that feeds a kind, and where it stands in the order in which tracks began.
type feeding struct {
	track Track
	order int
}

func newFeeds() *feeds {
	return &feeds{
		current: map[track.Kind]feeding{},
		needKey: true,
	}
}

// accept says whether a frame belongs in the recording. A newer track takes over at its first frame, for good:
// after a reconnect of the participant both exist for a while.
func (f *feeds) accept(q queued, now time.Time) bool {
	kind := q.kind()
	if fed := f.current[kind]; fed.track == nil || q.order > fed.order {
		f.current[kind] = feeding{q.track, q.order}
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
func (f *feeds) feeding(q queued) bool { return f.feeds(q.kind(), q.track) }

func (f *feeds) feeds(kind track.Kind, t Track) bool { return f.current[kind].track == t }

func (f *feeds) requestKeyFrame(now time.Time) {
	if t := f.current[track.Video].track; t != nil {
		f.asked = now
		t.RequestKeyFrame()
	}
}
