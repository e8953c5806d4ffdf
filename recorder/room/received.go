package room

import (
	"time"

	"livekit-recorder/recorder/track"
)

// received is a track of the followed participant, as it is received: a [parts.Track].
type received struct {
	sid, source string
	codec       track.Codec
	receiver    *track.Receiver
}

// SID is the track's id in LiveKit.
func (t *received) SID() string { return t.sid }

// Source is what the track shows or lets hear, by the names of [SourceName].
func (t *received) Source() string { return t.source }

// Codec is how it is coded.
func (t *received) Codec() track.Codec { return t.codec }

// Stats counts what has come so far.
func (t *received) Stats() track.Stats { return t.receiver.Stats() }

// Synced says that [received.Time] is exact.
func (t *received) Synced() bool { return t.receiver.Synced() }

// Time is when a frame was captured, by the publisher's clock, as far as that is known by now.
func (t *received) Time(f track.Frame) time.Time { return t.receiver.Time(f.Timestamp) }

// Settle returns the same, for good.
func (t *received) Settle(f track.Frame) time.Time { return t.receiver.Settle(f.Timestamp) }

// ClockOffset is by how much the publisher's clock is ahead of this machine's, as far as that is known.
func (t *received) ClockOffset() time.Duration {
	offset, _ := t.receiver.Base.Offset()
	return offset
}

// RequestKeyFrame asks the publisher for a key frame, now or within a second.
func (t *received) RequestKeyFrame() { t.receiver.RequestKeyFrame() }
