package parts

import (
	"time"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// layOut decides which streams a part gets that begins with these frames, and which time is its beginning. Extra is a
// stream that it gets even if none of its frames are here yet, or nil.
func layOut(frames []queued, extra *mux.Stream) (streams []mux.Stream, origin time.Time) {
	origin = frames[0].time
	missing := extra != nil

	for _, kind := range []track.Kind{track.Video, track.Audio} { // players expect video first
		q := header(frames, kind)
		if q == nil {
			continue
		}

		config := q.frame.Config
		if config.Reorders = config.Reorders || reorders(frames, kind); config.Reorders {
			origin = frames[0].time.Add(-mux.ReorderDelay)
		}
		streams = append(streams, mux.Stream{Codec: q.track.Codec(), Config: config})
		missing = missing && kind != extra.Codec.Kind
	}

	if missing {
		streams = append(streams, *extra)
	}
	return streams, origin
}

// header picks the frame that a stream's header is made of: the largest picture of the codec that comes first. A
// simulcast publisher begins with a small one, and players make their window as large as the header says.
func header(frames []queued, kind track.Kind) (best *queued) {
	for i := range frames {
		q := &frames[i]
		if q.kind() != kind || best != nil && q.track.Codec().Name != best.track.Codec().Name {
			continue
		}
		if best == nil || extent(q.frame.Config) > extent(best.frame.Config) {
			best = q
		}
	}
	return best
}

// extent compares what headers must say: pixels, or channels.
func extent(c track.Config) int { return c.Width*c.Height + c.Channels }

// reorders says whether frames of a kind come in another order than that of their times: not every H264 stream with
// B-frames declares them.
func reorders(frames []queued, kind track.Kind) bool {
	var last *queued

	for i := range frames {
		q := &frames[i]
		if q.kind() != kind {
			continue
		}
		if last != nil && last.track == q.track && q.time.Before(last.time) {
			return true
		}
		last = q
	}
	return false
}
