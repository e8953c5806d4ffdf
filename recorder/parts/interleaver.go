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
	// longestWait is how long a frame waits at most, whatever the other tracks do: a little more than the two together.
	longestWait = 10 * time.Second
	// maxLive is how many tracks of one kind may go on at once: of all of them, only the newest counts, but for a moment
	// after a reconnect. maxLines is how many tracks may have frames here.
	maxLive  = 16
	maxLines = 64
)

// queued is a frame on its way into a part. Its time is set when it leaves the interleaver.
type queued struct {
	track Track
	order int // in which tracks began
	frame track.Frame
	time  time.Time
	at    time.Time // of arrival here
}

func (q queued) kind() track.Kind { return q.track.Codec().Kind }

// line is what waits of one track.
type line struct {
	track  Track
	order  int // in which tracks began
	frames []queued
	begun  time.Time
	ended  bool
	late   bool // its first frames have waited long enough for a sender report, or have left
	popped bool // its first frame has left
}

// interleaver brings the frames of all tracks into the order of their times. The time of day is passed in.
type interleaver struct {
	lines []*line
	begun int  // tracks so far
	held  load // by all lines
}

// begin notes a track whose frames will come. It says whether there are too many: then the oldest one of the kind is
// over.
func (i *interleaver) begin(t Track, now time.Time) (tooMany bool) {
	i.forget()
	var oldest *line
	live := 0
	for _, l := range i.lines {
		if l.ended || l.track.Codec().Kind != t.Codec().Kind {
			continue
		}
		if live++; oldest == nil {
			oldest = l
		}
	}
	if tooMany = live >= maxLive; tooMany {
		oldest.ended = true
	}

	i.begun++
	i.lines = append(i.lines, &line{track: t, order: i.begun, begun: now})
	return tooMany
}

// forget lets go of tracks that are over.
func (i *interleaver) forget() {
	i.lines = slices.DeleteFunc(i.lines, func(l *line) bool { return l.ended && len(l.frames) == 0 })
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
	l := i.line(t)
	if l == nil || l.ended {
		return
	}

	q := queued{track: t, order: l.order, frame: f, at: now}
	l.frames = append(l.frames, q)
	i.held.add(q)
}

// pop returns the next frame, if nothing earlier can still come (or all is true).
func (i *interleaver) pop(now time.Time, all bool) (next queued, ok bool) {
	i.forget()
	first, wait := i.first(now)
	if first == nil {
		return next, false
	}
	if !all && len(i.lines) <= maxLines && now.Sub(first.frames[0].at) < wait && !i.overdue(now) {
		return next, false
	}

	next = first.pop()
	i.held.remove(next)
	next.time = next.track.Settle(next.frame)
	return next, true
}

// first returns the line with the earliest frame, and how long that one has to wait: for tracks of which nothing is
// here, or, however long it takes, for one whose times are not exact yet.
func (i *interleaver) first(now time.Time) (first *line, wait time.Duration) {
	var earliest time.Time
	for _, l := range i.lines {
		switch {
		case len(l.frames) == 0:
			wait = max(wait, patience)
			continue
		case !l.exact(now):
			wait = longestWait
		}
		if at := l.track.Time(l.frames[0].frame); first == nil || at.Before(earliest) {
			first, earliest = l, at
		}
	}
	return first, wait
}

// overdue says that some frame has waited for as long as it may.
func (i *interleaver) overdue(now time.Time) bool {
	return slices.ContainsFunc(i.lines, func(l *line) bool {
		return len(l.frames) > 0 && now.Sub(l.frames[0].at) >= longestWait
	})
}

// exact says that the times of a line's frames are as exact as they will be when they leave.
func (l *line) exact(now time.Time) bool {
	l.late = l.late || now.Sub(l.frames[0].at) >= syncPatience
	return l.late || l.ended || l.track.Synced()
}

func (l *line) pop() (next queued) {
	next = l.frames[0]
	l.frames[0] = queued{}
	l.frames = l.frames[1:]
	l.popped, l.late = true, true
	return next
}
