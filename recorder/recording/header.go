package recording

import (
	"livekit-recorder/recorder/track"
)

// header picks the frame that a stream's header is made of: the largest picture of the codec that comes first. A simulcast
// publisher begins with a small one, and players make their window as large as the header says.
func header(frames []unit, kind track.Kind) (best *unit) {
	for i := range frames {
		q := &frames[i]
		if q.track.Codec.Kind != kind || best != nil && q.track.Codec.Name != best.track.Codec.Name {
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
func reorders(frames []unit, kind track.Kind) bool {
	var last *unit
	for i := range frames {
		q := &frames[i]
		if q.track.Codec.Kind != kind {
			continue
		}
		if last != nil && last.track == q.track && q.time.Before(last.time) {
			return true
		}
		last = q
	}
	return false
}
