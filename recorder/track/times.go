package track

import "time"

// times are what timestamps mean.
type times struct {
	clock   *Clock
	settled bool  // a time has been settled: the clock may only be slewed from now on
	latest  int64 // the newest timestamp whose time is settled
	// shift is added to all timestamps. A stream that begins anew goes on behind the one before, whose frames may still
	// be on their way: what their timestamps mean must not change.
	shift  uint32
	newest uint32 // the timestamp that came last, shifted
	within bool   // a frame of it goes on in the next packet
	late   int64  // by how many ticks the newest packet was too late, of a backlog that comes at once; 0 if there is none
}

// float has times that may still change follow the session's.
func (t *times) float() {
	if !t.settled {
		t.clock.Float()
	}
}

// ntpTime converts a 64-bit NTP timestamp (RFC 5905 section 6): seconds since 1900 in 32.32 fixed point.
func ntpTime(ntp uint64) time.Time {
	const between1900And1970 = 2208988800
	seconds := int64(ntp>>32) - between1900And1970
	nanoseconds := int64((ntp & 0xffffffff) * uint64(time.Second) >> 32)
	return time.Unix(seconds, nanoseconds).UTC()
}

// catchesUp says whether a packet is late because its way was blocked, and what had waited comes at once now: its
// timestamp goes on from the one before, and ever less late.
func (t *times) catchesUp(ahead, since, rate int64) bool {
	late, before := -ahead, t.late
	t.late = 0
	switch {
	case late <= 0 || late > rate*int64(maxBacklog/time.Second) || max(since, -since) > rate:
		return false
	case before > 0 && since <= 0: // overtaken by the one before
		if late-before < rate {
			t.late = before
		}
		return t.late > 0
	case since == 0, before > 0 && before-late < since/4:
		return false
	}

	t.late = late
	if since > 0 {
		t.newest += uint32(since)
	}
	return true
}
