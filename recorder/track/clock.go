package track

import (
	"sync"
	"time"
)

// slew bounds how fast a clock is corrected: 5 ms per second of sound cannot be heard, and 30 ms per second of
// pictures, which is a millisecond of a frame's length, cannot be seen.
var slew = map[Kind]float64{Audio: 0.005, Video: 0.030}

const (
	// step is a difference between a report and what was expected of it that is no noise: the sender has changed its
	// layer, whose timestamps a LiveKit server continues by an estimate that can be a frame off.
	step = 8 * time.Millisecond
	// maxSkew is the largest error of a media clock's rate that is believed: quartzes are within some 100 ppm.
	maxSkew = 0.001
	// A clock's rate is measured over at least leastBaseline, where the noise of reports (a few ms) matters little, and
	// over at most twice longBaseline, since rates change with temperature.
	leastBaseline = 15 * time.Second
	longBaseline  = 5 * time.Minute
	// discontinuity is by how much a timestamp must disagree with its packet's arrival to belong to a stream that began
	// anew, whose timestamps have nothing to do with those before.
	discontinuity = 10 * time.Second
)

// Clock maps the RTP timestamps of one track to the publisher's wall clock, by RTCP sender reports (RFC 3550 section
// 6.4.1). Until the first report it goes by arrival: the packet with the least delay counts. From then on it follows
// the reports, and between them the rate of the publisher's clock. Every correction after the first report is slewed,
// so that time never jumps or runs backwards.
type Clock struct {
	rate float64 // Hz
	slew float64 // seconds per second, at most
	base *Timebase

	anchored bool
	synced   bool
	anchor   anchor

	// What the reports say: at timestamp reported, the anchor's line is wrong by level, which grows by skew.
	reported     int64
	level        time.Duration
	skew         float64 // seconds per second
	older, newer sample  // what the skew is measured from

	slewing slewing
}

// anchor is where a clock's line begins: that timestamp was that time.
type anchor struct {
	rtp  int64
	time time.Time
}

// slewing is where a correction begins, which leads from what it was at a timestamp to what the reports say.
type slewing struct {
	from int64
	old  time.Duration
}

// sample is what one report said.
type sample struct {
	rtp    int64
	offset time.Duration
}

// NewClock makes the clock of a track with that RTP clock rate in Hz, which is corrected by at most slew seconds per
// second. Base is shared by the tracks of one participant.
func NewClock(rate int64, slew float64, base *Timebase) *Clock {
	return &Clock{rate: float64(rate), slew: slew, base: base}
}

// Arrived notes when a packet came. It moves the clock only until it is synced or has been asked for a time, or if
// the stream has begun anew.
func (c *Clock) Arrived(rtp int64, at time.Time, asked bool) {
	at = c.base.fromLocal(at)
	if c.anchored && at.Sub(c.At(rtp)).Abs() > discontinuity {
		*c = Clock{
			rate:     c.rate,
			slew:     c.slew,
			base:     c.base,
			anchored: true,
			anchor:   anchor{rtp, at},
			slewing:  slewing{from: rtp},
		}
		return
	}

	if c.synced || (c.anchored && asked) {
		return
	}
	if !c.anchored || at.Before(c.linear(rtp)) {
		c.anchored, c.anchor = true, anchor{rtp, at}
	}
}

// Report takes a sender report: timestamp rtp was wall-clock time ntp. Latest is the newest timestamp that the clock
// has been asked for, whose time must not change any more; asked is false if there is none.
func (c *Clock) Report(rtp int64, ntp, arrived time.Time, latest int64, asked bool) {
	ntp = c.base.observe(ntp, arrived)
	first := !c.synced
	c.synced = true
	if first && !asked {
		c.anchored, c.anchor = true, anchor{rtp, ntp}
		c.slewing.from, c.reported = rtp, rtp
		c.older, c.newer = sample{rtp, 0}, sample{rtp, 0}
		return
	}

	offset := ntp.Sub(c.linear(rtp))
	c.slewing = slewing{latest, c.correction(latest)}
	if first {
		c.level, c.older, c.newer = offset, sample{rtp, offset}, sample{rtp, offset}
	} else {
		c.follow(sample{rtp, offset})
	}

	c.reported = rtp
}

// follow takes what a further report says.
func (c *Clock) follow(now sample) {
	predicted := c.target(now.rtp)
	if off := now.offset - predicted; off.Abs() > step {
		c.level, c.older, c.newer = now.offset, now, now // the rate is the same as before
		return
	}
	c.level = predicted + (now.offset-predicted)/2 // reports are a little noisy
	c.measureSkew(now)
}

func (c *Clock) measureSkew(now sample) {
	if baseline := c.span(now.rtp - c.older.rtp); baseline >= leastBaseline {
		skew := (now.offset - c.older.offset).Seconds() / baseline.Seconds()
		c.skew = max(-maxSkew, min(maxSkew, skew))
	}
	if c.span(now.rtp-c.newer.rtp) >= longBaseline {
		c.older, c.newer = c.newer, now
	}
}

// Synced says that a sender report has been seen.
func (c *Clock) Synced() bool { return c.synced }

// At returns the time of a timestamp.
func (c *Clock) At(rtp int64) time.Time { return c.linear(rtp).Add(c.correction(rtp)) }

func (c *Clock) linear(rtp int64) time.Time { return c.anchor.time.Add(c.span(rtp - c.anchor.rtp)) }

func (c *Clock) span(ticks int64) time.Duration {
	return time.Duration(float64(ticks) / c.rate * float64(time.Second))
}

// target is the correction that the reports ask for.
func (c *Clock) target(rtp int64) time.Duration {
	return c.level + time.Duration(float64(c.span(rtp-c.reported))*c.skew)
}

func (c *Clock) correction(rtp int64) time.Duration {
	if rtp <= c.slewing.from {
		return c.slewing.old
	}
	limit := time.Duration(float64(c.span(rtp-c.slewing.from)) * c.slew)
	return c.slewing.old + max(-limit, min(limit, c.target(rtp)-c.slewing.old))
}

// A publisher's clock that is off by more than these was set anew, or is another device's: the recording's time goes
// on by this machine's clock then. Within a session a report may come late; between two sessions nothing else
// explains it.
const (
	clockStep    = 3 * time.Second
	sessionClock = 500 * time.Millisecond
)

// Timebase relates the publisher's clock to this machine's, for all tracks of one session of a participant: for
// tracks that have no sender report yet while another one has, and for clocks that jump.
type Timebase struct {
	mu     sync.Mutex
	known  bool
	offset time.Duration // publisher − local, as seen by the least delayed report
	shift  time.Duration // is added to the publisher's times
	before *Timebase     // of the participant's earlier session
}

// Next makes the timebase of the participant's next session: the same person, perhaps at another device.
func (b *Timebase) Next() *Timebase { return &Timebase{before: b} }

// observe takes a report, and returns its time on the recording's time line.
func (b *Timebase) observe(ntp, arrived time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	offset := ntp.Add(b.shift).Sub(arrived)
	switch expected, tolerance := b.expected(); {
	case tolerance > 0 && (offset-expected).Abs() > tolerance:
		b.shift += expected - offset
		b.known, b.offset = true, expected
	case !b.known || offset > b.offset:
		b.known, b.offset = true, offset
	}

	b.before = nil // has said what it knows
	return ntp.Add(b.shift)
}

// expected is the offset that a report should have, give or take the tolerance; 0 if nothing is known.
func (b *Timebase) expected() (offset, tolerance time.Duration) {
	if b.known {
		return b.offset, clockStep
	}
	if offset, known := b.before.Offset(); known {
		return offset, sessionClock
	}
	return 0, 0
}

// Offset is by how much the recording's time line, which is the publisher's clock unless that has jumped, is ahead of
// this machine's clock; the way of the packets included.
func (b *Timebase) Offset() (offset time.Duration, known bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known && b.before != nil {
		return b.before.Offset()
	}
	return b.offset, b.known
}

func (b *Timebase) fromLocal(at time.Time) time.Time {
	offset, _ := b.Offset()
	return at.Add(offset)
}
