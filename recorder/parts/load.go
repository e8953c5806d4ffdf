package parts

import (
	"time"

	"livekit-recorder/recorder/track"
)

// How many frames of one recording may wait, and how much memory they may take, before a part has a place for them.
// Those that wait for as long as they may, of a camera with 30 Mbit/s, take 40 MiB. Beyond it, frames leave in the
// order of time although earlier ones may still come.
const (
	maxHeldFrames = 1 << 14
	maxHeldBytes  = 64 << 20
)

// load is how much frames that wait are.
type load struct{ frames, bytes int }

func (l *load) add(q queued) {
	l.frames++
	l.bytes += q.frame.Cost()
}

func (l *load) remove(q queued) {
	l.frames--
	l.bytes -= q.frame.Cost()
}

// tooMuch says that two loads together are more than a recording may have.
func (l *load) tooMuch(other load) bool {
	return l.frames+other.frames > maxHeldFrames || l.bytes+other.bytes > maxHeldBytes
}

// backlog is frames that wait for a part that has a place for them.
type backlog struct {
	frames []queued
	since  time.Time // when the first of them to arrive did
	kinds  map[track.Kind]bool
	load   load
}

func (b *backlog) add(q queued) {
	if len(b.frames) == 0 {
		b.since, b.kinds = q.at, map[track.Kind]bool{}
	}
	if q.at.Before(b.since) {
		b.since = q.at
	}
	b.kinds[q.kind()] = true
	b.frames = append(b.frames, q)
	b.load.add(q)
}

// take returns all of them.
func (b *backlog) take() []queued {
	frames := b.frames
	*b = backlog{}
	return frames
}
