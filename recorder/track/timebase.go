package track

import (
	"sync"
	"time"
)

const (
	// A publisher's clock that is off by more than these was set anew between two reports, or is another device's: the
	// recording's time goes on by this machine's clock then. Within a session a report may come late; between two
	// sessions nothing else explains it.
	clockStep    = 3 * time.Second
	sessionClock = 500 * time.Millisecond
	// Packets and reports cannot come before the time that they speak of, and not long after it. What disagrees by more
	// than these belongs to a stream that began anew, or is made up.
	maxAhead  = 3 * time.Second
	maxBehind = 10 * time.Second
	// maxBacklog is how far behind packets may be that had to wait together, and come at once then.
	maxBacklog = 30 * time.Second
	// offsetWindow is how long the least delay of a report counts, at least: clocks drift apart.
	offsetWindow = time.Minute
)

// processStart is where this machine's clock is read once.
var processStart = time.Now()

// steady is a time of this process by a clock that nobody sets: it goes on from what the wall clock was at the start.
func steady(at time.Time) time.Time { return processStart.Round(0).Add(at.Sub(processStart)) }

// Timebase relates the publisher's clock to this machine's, for all tracks of one session of a participant: for
// tracks that have no sender report yet while another one has, and for clocks that are set. Whatever the publisher's
// clock does, it moves all tracks alike.
type Timebase struct {
	mu     sync.Mutex
	offset window        // publisher − local, as seen by the least delayed report
	shift  time.Duration // is added to the publisher's times
	fixed  bool          // something has left by arrival, before there was any report
	before *Timebase     // of the participant's earlier session
}

// Next makes the timebase of the participant's next session: the same person, perhaps at another device.
func (b *Timebase) Next() *Timebase { return &Timebase{before: b} }

// first takes the first report of a track of which nothing has left yet, and returns its time on the recording's time
// line.
func (b *Timebase) first(ntp, arrived time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if expected, tolerance := b.expected(); tolerance > 0 {
		if off := ntp.Add(b.shift).Sub(arrived) - expected; off.Abs() > tolerance {
			b.shift -= off
		}
	}
	return b.note(ntp, arrived)
}

// observe takes any other report. It is not ok if it says what cannot be.
func (b *Timebase) observe(ntp, arrived time.Time) (at time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isPlausible(ntp.Add(b.shift), arrived) {
		return at, false
	}
	return b.note(ntp, arrived), true
}

func (b *Timebase) note(ntp, arrived time.Time) time.Time {
	at := ntp.Add(b.shift)
	b.offset.add(at.Sub(arrived), arrived)
	b.before = nil // has said what it knows
	return at
}

// expected is the offset that a first report should have, give or take the tolerance; 0 if nothing is known.
func (b *Timebase) expected() (offset, tolerance time.Duration) {
	if b.offset.known {
		return b.offset.most(), clockStep
	}
	if offset, known := b.before.Offset(); known {
		return offset, sessionClock
	}
	if b.fixed {
		return 0, time.Nanosecond
	}
	return 0, 0
}

// changed is by how much a report is ahead of what those before it let expect.
func (b *Timebase) changed(ntp, arrived time.Time) (by time.Duration, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ntp.Add(b.shift).Sub(arrived) - b.offset.most(), b.offset.known
}

// time is a time of the publisher's clock on the recording's time line.
func (b *Timebase) time(ntp time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ntp.Add(b.shift)
}

// fix notes that something leaves: if there is no report yet, that fixes what time it is, for all tracks.
func (b *Timebase) fix() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fixed = b.fixed || !b.offset.known
}

// knows says that there has been a report.
func (b *Timebase) knows() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offset.known
}

// move has the publisher's times mean others, for all tracks.
func (b *Timebase) move(by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shift += by
}

// plausible says whether what was captured at a time on the recording's time line can have arrived when it did.
func (b *Timebase) plausible(at, arrived time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isPlausible(at, arrived)
}

func (b *Timebase) isPlausible(at, arrived time.Time) bool {
	offset, _ := b.current()
	ahead := at.Sub(arrived.Add(offset))
	return ahead <= maxAhead && ahead >= -maxBehind
}

// Offset is by how much the recording's time line, which is the publisher's clock unless that has been set, is ahead of
// this machine's clock; the way of the packets included.
func (b *Timebase) Offset() (offset time.Duration, known bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current()
}

func (b *Timebase) current() (offset time.Duration, known bool) {
	if !b.offset.known && b.before != nil {
		return b.before.Offset()
	}
	return b.offset.most(), b.offset.known
}

func (b *Timebase) fromLocal(at time.Time) time.Time {
	offset, _ := b.Offset()
	return at.Add(offset)
}

// window remembers the largest of the values of the last minute or two.
type window struct {
	known        bool
	since        time.Time // when the newer half began
	older, newer time.Duration
}

func (w *window) add(value time.Duration, at time.Time) {
	switch {
	case !w.known:
		w.known, w.since, w.older, w.newer = true, at, value, value
	case at.Sub(w.since) >= offsetWindow:
		w.since, w.older, w.newer = at, w.newer, value
	default:
		w.newer = max(w.newer, value)
	}
}

func (w *window) most() time.Duration { return max(w.older, w.newer) }
