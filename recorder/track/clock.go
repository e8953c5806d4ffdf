package track

import "time"

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
	// largestOwn is the largest difference that is surely a track's own, as a layer's step is: a larger one may be the
	// publisher's clock that was set, which moves all tracks of the session.
	largestOwn = 40 * time.Millisecond
	// leap is how much of a correction is not slewed, if packets come that much late as well: whatever the track is made
	// of stood still for a while (a device that was changed, a telephone that was busy), and its timestamps with it.
	leap = 300 * time.Millisecond
	// largestDelay is the most that a track without a report is believed to be late, all of its packets.
	largestDelay = time.Second
)

// Clock maps the RTP timestamps of one track to the publisher's wall clock, by RTCP sender reports (RFC 3550 section
// 6.4.1). Until the first report it goes by arrival: the packet with the least delay counts. From then on it follows
// the reports, and between them the rate of the publisher's clock. Every correction after the first report is slewed,
// so that time never jumps or runs backwards. What is not this track's own, because the publisher's clock was set, goes
// into the [Timebase]: sound and picture stay together.
type Clock struct {
	rate float64 // Hz
	slew float64 // seconds per second, at most
	base *Timebase

	anchored bool
	synced   bool
	anchor   anchor
	offset   time.Duration // of the base, which the anchor has in it while there is no report
	heard    heard

	// What the reports say: at timestamp reported, the anchor's line is wrong by level, which grows by skew.
	reported int64
	level    time.Duration
	drift    drift

	slewing slewing
}

// heard is what came with the newest report.
type heard struct {
	ahead   time.Duration // by how much its clock was ahead of this machine's when it came
	late    lateness
	doubted bool // another one came since then that seemed to be of a clock that was set
}

// lateness is by how much all packets since the newest report were late, at least.
type lateness struct {
	known bool
	least time.Duration
}

// anchor is where a clock's line begins: that timestamp was that time.
type anchor struct {
	rtp  int64
	time time.Time
}

// drift is how much a clock's rate is off, and the reports that this is measured from.
type drift struct {
	skew         float64 // seconds per second
	older, newer sample
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

// Ahead is by how many ticks a timestamp is ahead of when its packet came, if it has nothing to do with those before:
// the stream has begun anew. It is 0 if the timestamp can be right.
func (c *Clock) Ahead(rtp int64, came time.Time) int64 {
	if !c.anchored || c.base.plausible(c.At(rtp), came) {
		return 0
	}
	return int64(c.At(rtp).Sub(c.base.fromLocal(came)).Seconds() * c.rate)
}

// Float has a track that goes by arrival follow what its session has come to know of the publisher's clock, by another
// track's report: only until it has been asked for a time.
func (c *Clock) Float() {
	if offset, _ := c.base.Offset(); c.anchored && !c.synced {
		c.anchor.time, c.offset = c.anchor.time.Add(offset-c.offset), offset
	}
}

// Arrived notes when a packet came. It moves the clock only until it is synced or has been asked for a time.
func (c *Clock) Arrived(rtp int64, at time.Time, asked bool) {
	if c.anchored {
		late := c.base.fromLocal(at).Sub(c.At(rtp))
		if !c.heard.late.known || late < c.heard.late.least {
			c.heard.late = lateness{true, late}
		}
	}
	if c.synced || (c.anchored && asked) {
		return
	}
	if at = c.base.fromLocal(at); !c.anchored || at.Before(c.linear(rtp)) {
		c.anchored, c.anchor = true, anchor{rtp, at}
		c.offset, _ = c.base.Offset()
	}
}

// Report takes a sender report: timestamp rtp was wall-clock time ntp. Latest is the newest timestamp that the clock
// has been asked for, whose time must not change any more; asked is false if there is none. A report that says what
// cannot be is ignored.
func (c *Clock) Report(rtp int64, ntp, arrived time.Time, latest int64, asked bool) {
	if c.anchored && !c.base.plausible(c.At(rtp), arrived) {
		return // of a timestamp that this stream has not come to, or has long left behind
	}
	if !c.synced && !asked {
		c.agree(rtp, ntp, arrived)
		at := c.base.first(ntp, arrived)
		c.synced, c.anchored, c.anchor = true, true, anchor{rtp, at}
		c.slewing.from, c.reported = rtp, rtp
		c.drift.older, c.drift.newer = sample{rtp, 0}, sample{rtp, 0}
		c.heard.ahead = ntp.Sub(arrived)
		return
	}

	if !c.attribute(rtp, ntp, arrived) {
		return
	}
	at, ok := c.base.observe(ntp, arrived)
	if !ok {
		return
	}

	offset := at.Sub(c.linear(rtp))
	c.slewing = slewing{latest, c.correction(latest)}
	if !c.synced {
		c.synced, c.level, c.drift.older, c.drift.newer = true, offset, sample{rtp, offset}, sample{rtp, offset}
	} else {
		c.follow(sample{rtp, offset})
	}
	c.reported = rtp
	c.leap(latest)
	c.heard.late = lateness{}
}

// leap takes what is left of a correction at once, if packets have been late by as much: time goes on then behind a
// gap, which there was.
func (c *Clock) leap(latest int64) {
	left := c.target(latest) - c.correction(latest)
	if left > leap && c.heard.late.known && c.heard.late.least > left-leap {
		c.slewing = slewing{latest, c.target(latest)}
	}
}

// agree sees whether the publisher's clock was set since another track of the session had its report: then this track's
// first report is off by the same amount beside the packets as it is beside when it came. If only the packets are late,
// or only the report, it is not.
func (c *Clock) agree(rtp int64, ntp, arrived time.Time) {
	changed, known := c.base.changed(ntp, arrived)
	if !known || !c.anchored || changed.Abs() < sessionClock {
		return
	}
	if off := c.base.time(ntp).Sub(c.At(rtp)); (off - changed).Abs() < changed.Abs()/2 {
		c.base.move(-changed)
	}
}

// attribute sees whether a report's difference from what was expected of it is the session's, and tells the session
// then. If the publisher's clock was set, the difference shows by arrival, too; if the track has changed its layer, it
// does not. A busy machine's report may be wrong in both ways by chance: it is believed when the next one says so, too.
// What has left before the first report of all has fixed what time it is.
func (c *Clock) attribute(rtp int64, ntp, arrived time.Time) (believed bool) {
	expected := c.linear(rtp).Add(c.correction(rtp))
	if c.synced {
		expected = c.linear(rtp).Add(c.target(rtp))
	}
	off := c.base.time(ntp).Sub(expected)
	heard := ntp.Sub(arrived)
	changed := heard - c.heard.ahead
	set := c.synced && off.Abs() > largestOwn && (changed-off).Abs() < changed.Abs()
	if set && !c.heard.doubted {
		c.heard.doubted = true
		return false
	}
	c.heard.ahead, c.heard.doubted = heard, false

	if set || !c.base.knows() || !c.synced && off.Abs() > largestDelay {
		c.base.move(-off)
	}
	return true
}

// follow takes what a further report says.
func (c *Clock) follow(now sample) {
	predicted := c.target(now.rtp)
	if off := now.offset - predicted; off.Abs() > step {
		c.level, c.drift.older, c.drift.newer = now.offset, now, now // the rate is the same as before
		return
	}
	c.level = predicted + (now.offset-predicted)/2 // reports are a little noisy
	c.measureSkew(now)
}

func (c *Clock) measureSkew(now sample) {
	if baseline := c.span(now.rtp - c.drift.older.rtp); baseline >= leastBaseline {
		skew := (now.offset - c.drift.older.offset).Seconds() / baseline.Seconds()
		c.drift.skew = max(-maxSkew, min(maxSkew, skew))
	}
	if c.span(now.rtp-c.drift.newer.rtp) >= longBaseline {
		c.drift.older, c.drift.newer = c.drift.newer, now
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
	return c.level + time.Duration(float64(c.span(rtp-c.reported))*c.drift.skew)
}

func (c *Clock) correction(rtp int64) time.Duration {
	if rtp <= c.slewing.from {
		return c.slewing.old
	}
	limit := time.Duration(float64(c.span(rtp-c.slewing.from)) * c.slew)
	return c.slewing.old + max(-limit, min(limit, c.target(rtp)-c.slewing.old))
}
