package parts

import (
	"context"
	"time"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

const (
	// gather is how long the first frames are kept in memory while a kind of track that is wanted has not begun: a
	// camera that comes a moment after the microphone belongs in the same file.
	gather = 5 * time.Second
	// lateAudio is how long audio that a part has no stream for waits for video's next key frame, where a new part can
	// begin.
	lateAudio = 3 * time.Second
	// reportInterval is how often it is said how far a part has come.
	reportInterval = 5 * time.Second
	// maxBegun is how many parts may begin in any begunWindow: tracks whose formats change more often than that make
	// files that nobody can use, and a process and an upload for each. It is more than may fail before a recording is
	// left to another recorder, so that a broken disk is not taken for that.
	maxBegun    = 12
	begunWindow = time.Minute
)

// Composer makes parts of the frames of one recording: it decides where one part ends and the next begins. One
// goroutine owns it, and calls its methods, but for [Composer.Parts] and [Composer.Wait]. The time of day is passed
// in.
type Composer struct {
	config   Config
	storing  *storing
	frames   interleaver
	feeds    *feeds
	known    *known
	waiting  backlog   // frames before a part has begun, or of a kind that the part has no stream for
	behind   *queued   // a frame of the part that waits for the silence before it; nil if there is none
	part     *openPart // nil while there is none
	pace     pace
	failures int
	share    *track.Share
}

// New makes a composer.
func New(config Config) *Composer {
	c := &Composer{config: config, storing: newStoring(config), share: track.NewShare()}
	c.reset()
	return c
}

// reset forgets all tracks, but for their mutes: signalling tells of those once.
func (c *Composer) reset() {
	muted, gaps := mutes{}, 0
	if c.known != nil {
		muted, gaps = c.known.mutes, c.known.gaps
	}

	c.frames, c.feeds, c.waiting = interleaver{}, newFeeds(), backlog{}
	c.known = &known{mutes: muted, counted: map[Track]track.Stats{}, gaps: gaps}
}

// Begin notes a track whose frames will come.
func (c *Composer) Begin(t Track, now time.Time) {
	if c.frames.begin(t, now) {
		c.config.Log.WithField("track", t.SID()).Warn("too many tracks at once, the oldest one is left out")
	}
}

// End notes that no more frames of a track will come.
func (c *Composer) End(t Track) { c.frames.end(t) }

// Push takes the next frame of a track that has begun.
func (c *Composer) Push(t Track, f track.Frame, now time.Time) {
	c.frames.push(t, f, now)
	c.advance(now, false)
}

// Mute notes that the publisher has muted or unmuted the track with that SID.
func (c *Composer) Mute(sid string, muted bool, now time.Time) { c.known.mutes.set(sid, muted, now) }

// Advance moves every frame that is due into a part. It is to be called some times a second, because frames that wait
// for others become due by time alone.
func (c *Composer) Advance(now time.Time) { c.advance(now, false) }

// Live is how many tracks have begun and not ended.
func (c *Composer) Live() int { return c.frames.live() }

// Open says that a part is open.
func (c *Composer) Open() bool { return c.part != nil }

// Failures is how many parts could not be written. A full disk does not get better by trying: the owner decides how
// many are too many.
func (c *Composer) Failures() int { return c.failures }

// TooManyParts says that tracks change their formats so often that no more parts are begun. What is there is kept.
func (c *Composer) TooManyParts() bool { return c.pace.exceeded }

// Broken says that a panic keeps a part from being stored: its file stays on the disk, and nothing of what goes to it
// reaches the bucket. It is for the owner to end the recording here, so that another attempt goes on.
func (c *Composer) Broken() bool {
	open := c.part != nil && c.part.stored.upload != nil && c.part.stored.upload.Broken()
	return open || c.storing.broken.Load()
}

// Name gives names to the parts so far that have none, and to those that follow: [document.PartName]. Parts are
// stored as soon as they have a name.
func (c *Composer) Name(file string, epoch int) { c.storing.giveNames(file, epoch) }

// Drain marks the parts that are not stored yet, and those that follow, as [document.Draining]: another recorder is
// about to go on with the recording.
func (c *Composer) Drain() { c.storing.drain() }

// Close places the frames that are left, and ends the part. It does not wait for its storing. The composer can be used
// again for another session of the recording, whose tracks begin anew.
func (c *Composer) Close(now time.Time) {
	c.advance(now, true)
	c.endPart("", now)
	c.reset()
	c.share.Set(0)
}

// Parts returns what there is to say about the parts so far, but for those that another recorder has made files of. It
// may be called from any goroutine.
func (c *Composer) Parts() []document.Part { return c.storing.list.all() }

// Wait returns when every part that has ended so far is stored or has failed for good, with an error if one was left on
// the disk because [Config.Context] has ended, or with ctx's. It may be called from any goroutine.
func (c *Composer) Wait(ctx context.Context) error { return c.storing.wait(ctx) }

// advance moves every frame that is due into a part, or simply every frame.
func (c *Composer) advance(now time.Time, all bool) {
	c.goOn(now, all || c.crowded())
	for c.behind == nil {
		q, ok := c.frames.pop(now, all || c.crowded())
		if !ok {
			break
		}
		c.place(q, now)
		if all {
			c.goOn(now, true)
		}
		if c.crowded() && (c.part != nil || c.frames.held.frames == 0) { // a part begins with all that is here
			c.admit(now, true)
		}
	}

	c.admit(now, all)
	if c.part != nil && now.Sub(c.part.reported) >= reportInterval {
		c.part.reported = now
		c.report(c.part, "")
	}
}

// crowded says that more waits than a recording may have, or more than all of them may.
func (c *Composer) crowded() bool {
	c.share.Set(c.frames.held.bytes + c.waiting.load.bytes)
	return c.frames.held.tooMuch(c.waiting.load) || c.share.TooMuch()
}

// report says how far a part has come, and why it ends if it does.
func (c *Composer) report(p *openPart, reason string) {
	reports, length := p.reports()
	c.storing.list.change(p.stored.n, func(part *document.Part) {
		part.Tracks, part.Duration, part.Reason = reports, length.Seconds(), reason
	})
}

// place puts a frame into the part it belongs to.
func (c *Composer) place(q queued, now time.Time) {
	if !c.feeds.accept(q, now) {
		return
	}
	if c.part == nil {
		c.waiting.add(q)
		return
	}

	c.goOn(now, true) // one after the other, always
	kind := q.kind()
	s := c.part.streams[kind]
	switch {
	case s == nil && kind == track.Audio:
		c.keepAudio(q, now)
	case s == nil && !q.frame.Key:
		c.feeds.needKey = true
		c.feeds.requestKeyFrame(now)
	case s == nil:
		c.roll("video began", &q, now)
	case q.frame.Key && !fits(s, q):
		c.roll("the "+string(kind)+" format changed", &q, now)
	case q.frame.Key && kind == track.Video && len(c.waiting.frames) > 0:
		c.roll("audio began", &q, now)
	default:
		c.write(q, now)
	}
}

// keepAudio keeps audio that the part has no stream for until video's next key frame, or until that takes too long.
func (c *Composer) keepAudio(q queued, now time.Time) {
	if len(c.waiting.frames) == 0 {
		c.feeds.requestKeyFrame(now)
	}

	c.waiting.add(q)
	if q.time.Sub(c.waiting.frames[0].time) > lateAudio {
		c.roll("audio began", nil, now)
	}
}

// fits says whether a part's stream can go on with a frame. Video of all codecs carries what a decoder needs in each
// key frame (VP8's and VP9's size, H264's parameter sets, AV1's sequence header), so that only another codec does not
// fit. Opus' header says how many channels are decoded: packets with fewer fit in, as the first ones of a browser may
// be.
func fits(s *stream, q queued) bool {
	if s.codec.Name != q.track.Codec().Name {
		return false
	}
	return q.kind() == track.Video || q.frame.Config.Channels <= s.config.Channels
}

// write puts a frame into the part, or has it wait for the silence before it. If that fails, the frame goes into a new
// part.
func (c *Composer) write(q queued, now time.Time) {
	more, err := c.part.approach(q)
	if more && err == nil {
		c.behind = &q
		return
	}
	if err == nil {
		err = c.part.write(q)
	}
	if err == nil {
		return
	}

	c.config.Log.WithError(err).Error("part failed, going on with a new one")
	c.failures++
	c.endPart("ffmpeg failed: "+err.Error(), now)
	c.feeds.needKey = true
	c.feeds.requestKeyFrame(now)
	c.place(q, now)
}

// goOn writes the frame that waits for the silence before it, or only some of that silence.
func (c *Composer) goOn(now time.Time, all bool) {
	for c.behind != nil {
		q := *c.behind
		c.behind = nil
		c.write(q, now)
		if !all {
			return
		}
	}
}
