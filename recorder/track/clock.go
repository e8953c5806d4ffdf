package track

import (
	"sync"
	"time"
)

// maxSlew bounds how fast a clock is corrected: 5 ms per second of media can neither be seen nor heard, and follows any
// real clock (200 ppm are 0.2 ms per second).
const maxSlew = 0.005

// Clock maps the RTP timestamps of one track to the publisher's wall clock, by RTCP sender reports (RFC 3550 section
// 6.4.1). Until the first report it goes by arrival: the packet with the least delay counts. Every correction after the
// first report is slewed, so that time never jumps or runs backwards.
type Clock struct {
	rate float64 // Hz
	base *Timebase

	anchored bool
	synced   bool
	rtp      int64     // the anchor: this timestamp …
	time     time.Time // … was this time
	// The correction grows from one value to another, beginning at timestamp slewFrom.
	slewFrom         int64
	slewOld, slewNew time.Duration
}

// NewClock makes the clock of a track with that RTP clock rate in Hz. Base is shared by the tracks of one participant.
func NewClock(rate int64, base *Timebase) *Clock { return &Clock{rate: float64(rate), base: base} }

// Arrived notes when a packet came. It moves the clock only until it is synced or has been asked for a time.
func (c *Clock) Arrived(rtp int64, at time.Time, asked bool) {
	if c.synced || (c.anchored && asked) {
		return
	}
	if at = c.base.fromLocal(at); !c.anchored || at.Before(c.linear(rtp)) {
		c.anchored, c.rtp, c.time = true, rtp, at
	}
}

// Report takes a sender report: timestamp rtp was wall-clock time ntp. Latest is the newest timestamp that the clock has
// been asked for, whose time must not change any more; asked is false if there is none.
func (c *Clock) Report(rtp int64, ntp, arrived time.Time, latest int64, asked bool) {
	c.base.observe(ntp, arrived)
	first := !c.synced
	c.synced = true
	if first && !asked {
		c.anchored, c.rtp, c.time = true, rtp, ntp
		c.slewOld, c.slewNew, c.slewFrom = 0, 0, rtp
		return
	}
	measured := ntp.Sub(c.linear(rtp))
	current := c.correction(latest)
	if !first {
		measured = current + (measured-current)/2 // reports are a little noisy
	}
	c.slewFrom, c.slewOld, c.slewNew = latest, current, measured
}

// Synced says that a sender report has been seen.
func (c *Clock) Synced() bool { return c.synced }

// At returns the time of a timestamp.
func (c *Clock) At(rtp int64) time.Time { return c.linear(rtp).Add(c.correction(rtp)) }

func (c *Clock) linear(rtp int64) time.Time { return c.time.Add(c.span(rtp - c.rtp)) }

func (c *Clock) span(ticks int64) time.Duration {
	return time.Duration(float64(ticks) / c.rate * float64(time.Second))
}

func (c *Clock) correction(rtp int64) time.Duration {
	if rtp <= c.slewFrom {
		return c.slewOld
	}
	limit := time.Duration(float64(c.span(rtp-c.slewFrom)) * maxSlew)
	return c.slewOld + max(-limit, min(limit, c.slewNew-c.slewOld))
}

// Timebase relates the publisher's clock to this machine's, for tracks that have no sender report yet while another
// track of the same participant has.
type Timebase struct {
	mu     sync.Mutex
	known  bool
	offset time.Duration // publisher − local, as seen by the least delayed report
}

func (b *Timebase) observe(ntp, arrived time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if offset := ntp.Sub(arrived); !b.known || offset > b.offset {
		b.known, b.offset = true, offset
	}
}

func (b *Timebase) fromLocal(at time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return at.Add(b.offset)
}
