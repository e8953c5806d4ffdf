package parts

import (
	"slices"
	"time"

	"livekit-recorder/recorder/track"
)

const (
	// patience is how long a frame waits for earlier ones of the other tracks. It is longer than a missing packet may
	// take, so that only a track that is silent makes others wait that long.
	patience = 1800 * time.Millisecond
	// syncPatience is how long the first frames of a track wait, and all others with them, for the sender report that
	// makes their times exact. LiveKit sends one every 3 seconds.
	syncPatience = 7 * time.Second
)

// queued is a frame on its way into a part. Its time is set when it leaves the interleaver.
type queued struct {
	track Track
	frame track.Frame
	time  time.Time
	at    time.Time // of arrival here
}

func (q queued) kind() track.Kind { return q.track.Codec().Kind }

// line is what waits of one track.
type line struct {
	track  Track
	frames []queued
	begun  time.Time
	ended  bool
	late   bool // its first frames have waited long enough for a sender report
	popped bool // its first frame has left
}

// interleaver brings the frames of all tracks into the order of their times. The time of day is passed in.
type interleaver struct{ lines []*line }

// begin notes a track whose frames will come.
func (i *interleaver) begin(t Track, now time.Time) {
	i.lines = append(i.lines, &line{track: t, begun: now})
}

// expecting says that a track has begun whose first frame is still on its way.
func (i *interleaver) expecting(now time.Time) bool {
	return slices.ContainsFunc(i.lines, func(l *line) bool {
		return !l.ended && !l.popped && now.Sub(l.begun) < syncPatience+patience
	})
}

// end notes that no more frames of a track will come.
func (i *interleaver) end(t Track) {
	if l := i.line(t); l != nil {
		l.ended = true
	}
}

// live is how many tracks have begun and not ended.
func (i *interleaver) live() (n int) {
	for _, l := range i.lines {
		if !l.ended {
			n++
		}
	}
	return n
}

func (i *interleaver) line(t Track) *line {
	for _, l := range i.lines {
		if l.track == t {
			return l
		}
	}
	return nil
}

func (i *interleaver) push(t Track, f track.Frame, now time.Time) {
	if l := i.line(t); l != nil {
		l.frames = append(l.frames, queued{track: t, frame: f, at: now})
	}
}

// pop returns the next frame, if nothing earlier can still come (or all is true).
func (i *interleaver) pop(now time.Time, all bool) (next queued, ok bool) {
	var first *line
	complete := true // every live track has a frame here

	for n := 0; n < len(i.lines); n++ {
		l := i.lines[n]
		if len(l.frames) == 0 {
			if l.ended {
				i.lines = append(i.lines[:n], i.lines[n+1:]...)
				n--
			} else {
				complete = false
			}
			continue
		}

		if !all && !l.late && !l.ended && !l.track.Synced() {
			if now.Sub(l.frames[0].at) < syncPatience {
				return next, false
			}
			l.late = true
		}

		if first == nil || l.track.Time(l.frames[0].frame).Before(first.track.Time(first.frames[0].frame)) {
			first = l
		}
	}
	if first == nil || !all && !complete && now.Sub(first.frames[0].at) < patience {
		return next, false
	}

	first.popped = true
	next = first.frames[0]
	first.frames[0] = queued{}
	first.frames = first.frames[1:]
	next.time = next.track.Settle(next.frame)
	return next, true
}
