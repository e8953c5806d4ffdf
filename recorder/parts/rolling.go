package parts

import (
	"slices"
	"time"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// pace is how fast parts follow each other.
type pace struct {
	begun    []time.Time // when the newest ones began
	exceeded bool        // no part begins any more
}

// allows says whether one more part may begin now, and notes that it does.
func (p *pace) allows(now time.Time) bool {
	p.begun = slices.DeleteFunc(p.begun, func(at time.Time) bool { return now.Sub(at) >= begunWindow })
	p.exceeded = p.exceeded || len(p.begun) >= maxBegun
	if !p.exceeded {
		p.begun = append(p.begun, now)
	}
	return !p.exceeded
}

// openPart is the part that frames go to at the moment.
type openPart struct {
	*writer
	stored   *held
	reported time.Time // when it was last said how far it has come
}

// roll ends the part and begins the next one with frame first, and the frames that wait. Without any video to begin
// with, the next part has audio only.
func (c *Composer) roll(reason string, first *queued, now time.Time) {
	hadAudio := c.part.streams[track.Audio]
	c.endPart(reason, now)
	if first != nil {
		c.waiting.add(*first)
	}

	var audio *mux.Stream // stays in the file even if none of its frames are here yet
	if hadAudio != nil && first != nil && first.kind() == track.Video {
		audio = &mux.Stream{Codec: hadAudio.codec, Config: hadAudio.config}
	}
	c.beginPart(audio, now)
}

// admit begins a part for the frames that wait, if that is due, or must be: because everything has to be placed now, or
// has waited for as long as it may.
func (c *Composer) admit(now time.Time, must bool) {
	if len(c.waiting.frames) == 0 {
		return
	}

	must = must || now.Sub(c.waiting.since) >= longestWait
	switch {
	case c.part == nil && (must || c.gathered(now)):
		c.beginPart(nil, now)
	case c.part != nil && must:
		c.roll("audio began", nil, now) // it still waited for a key frame
	}
}

// gathered says that the first part (or the one after a failure) can begin: every wanted kind has come, or it is long
// enough after the first frame.
func (c *Composer) gathered(now time.Time) bool {
	waited := now.Sub(c.waiting.frames[0].at) >= gather && !c.frames.expecting(now)
	return waited || len(c.waiting.kinds) >= c.config.Kinds
}

// beginPart begins a part with the frames that wait.
func (c *Composer) beginPart(extra *mux.Stream, now time.Time) {
	waiting := slices.DeleteFunc(c.waiting.take(), func(q queued) bool { return !c.feeds.feeding(q) })
	if len(waiting) == 0 || !c.pace.allows(now) {
		return
	}

	streams, origin := layOut(waiting, extra)
	h, err := c.storing.begin(streams, origin)
	if err != nil {
		c.config.Log.WithError(err).Error("part could not be begun")
		c.failures++
		c.feeds.needKey = true
		return
	}

	c.part = &openPart{writer: newWriter(h.file, origin, streams, c.known), stored: h}
	for _, q := range waiting {
		c.place(q, now)
	}
}

// endPart ends the part. Its file is finished and stored while recording goes on.
func (c *Composer) endPart(reason string, now time.Time) {
	p := c.part
	if p == nil {
		return
	}

	c.part = nil
	p.end(now)
	c.report(p, reason)
	c.storing.end(p.stored)
	c.known.forget(func(t Track) bool { return !c.feeds.feeds(t.Codec().Kind, t) })
}
