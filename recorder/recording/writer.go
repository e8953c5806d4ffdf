package recording

import (
	"slices"
	"time"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/ledger"
)

const (
	silenceFrame = 20 * time.Millisecond
	// fillLag is how far silent audio may be behind the video before it is filled up. Gaps are filled exactly when the
	// audio comes back; this only keeps the streams of the file close together meanwhile.
	fillLag = 200 * time.Millisecond
	// gapThreshold is the shortest gap between two audio frames that is filled: what is shorter is the clock's correction.
	gapThreshold = 5 * time.Millisecond
)

// unit is a frame in the order of time.
type unit = queued[*room.Track]

// sink is where a writer's frames go: a part of package mux.
type sink interface {
	Write(stream int, at time.Duration, key bool, data []byte) error
}

// stream is one stream of a part as far as it is written.
type stream struct {
	index  int
	config track.Config
	report ledger.TrackReport

	track    *room.Track   // that feeds it at the moment
	before   track.Stats   // the counts of that track when it began to feed this part
	begun    bool          // with a frame of its own
	alive    time.Duration // behind the newest frame of its own; what is behind that was filled in
	aliveAt  time.Time     // when that frame arrived
	gaps     gapList
	last     time.Duration // time of the newest frame
	end      time.Duration // behind the newest frame
	interval time.Duration // between the newest two, for video
}

// writer places frames in one part: it gives them their time since the part's beginning, and keeps audio continuous.
type writer struct {
	sink    sink
	origin  time.Time
	streams map[track.Kind]*stream
	mutes   mutes
}

// write appends a frame of a kind that the part has a stream for. Frames come in order of time.
func (w *writer) write(q unit) error {
	s := w.streams[q.track.Codec.Kind]
	at := q.time.Sub(w.origin)
	if audio := w.streams[track.Audio]; audio != nil && audio != s {
		if err := w.fillUp(audio, at); err != nil {
			return err
		}
	}
	if q.track.Codec.Kind == track.Audio {
		return w.writeAudio(s, at, q)
	}
	if s.begun && at < s.last+time.Millisecond && !s.config.Reorders {
		at = s.last + time.Millisecond // two frames of one stream never share a timestamp
	}
	if s.begun && at > s.last {
		s.interval = at - s.last
	}
	w.followed(s, q, at, at+s.interval)
	w.attribute(s, q)
	s.report.Frames++
	if q.frame.Key {
		s.report.KeyFrames++
		s.report.Width, s.report.Height = q.frame.Config.Width, q.frame.Config.Height
	}
	return w.put(s, at, max(s.end, at+s.interval), q.frame.Key, q.frame.Data)
}

func (w *writer) writeAudio(s *stream, at time.Duration, q unit) error {
	f := q.frame
	if at < s.end-f.Duration/2 {
		s.report.DroppedFrames++ // overlaps what is there: a double, or silence that was filled in too early
		return nil
	}
	if err := w.fill(s, at); err != nil {
		return err
	}
	if s.begun {
		at = max(at, s.last+time.Millisecond) // what overlaps a little is the clock's correction
	}
	w.followed(s, q, at, at+f.Duration)
	w.attribute(s, q)
	s.report.Frames++
	return w.put(s, at, at+f.Duration, true, f.Data)
}

// fillUp keeps audio that is silent from falling far behind the other stream, which is at now.
func (w *writer) fillUp(audio *stream, now time.Duration) error {
	if now-audio.end < fillLag {
		return nil
	}
	return w.fill(audio, now-silenceFrame)
}

// fill puts silence between the end of the audio, or the beginning of the part, and until: whole frames of 20, then 10, 5 and 2.5 ms, so that players
// that count samples stay as exact as those that read timestamps.
func (w *writer) fill(s *stream, until time.Duration) error {
	if until-s.end < gapThreshold {
		return nil
	}
	for length := silenceFrame; length >= 2500*time.Microsecond; length /= 2 {
		for until-s.end >= length {
			if err := w.sink.Write(s.index, s.end, true, track.Silence(s.config.Channels, length)); err != nil {
				return err
			}
			s.last, s.end = s.end, s.end+length
			s.report.FilledSilence += length.Seconds()
		}
	}
	return nil
}

func (w *writer) put(s *stream, at, end time.Duration, key bool, data []byte) error {
	if !s.begun {
		s.begun = true
		first := w.origin.Add(at).UTC()
		s.report.FirstFrameAt, s.report.Offset = &first, at.Seconds()
	}
	if err := w.sink.Write(s.index, at, key, data); err != nil {
		return err
	}
	s.last, s.end = at, end
	s.report.Duration = (end - time.Duration(s.report.Offset*float64(time.Second))).Seconds()
	return nil
}

// attribute notes which track feeds a stream, and settles the counts of the one that did before.
func (w *writer) attribute(s *stream, q unit) {
	if s.track == q.track {
		return
	}
	s.settle()
	s.track, s.before = q.track, track.Stats{}
	s.report.SID, s.report.Source, s.report.Codec = q.track.SID, q.track.Source, q.track.Codec.Name
	s.report.Kind = string(q.track.Codec.Kind)
}

func (s *stream) settle() {
	if s.track == nil {
		return
	}
	now := s.track.Stats()
	s.report.ClockOffset = s.track.ClockOffset().Seconds()
	s.report.PacketsReceived += now.PacketsReceived - s.before.PacketsReceived
	s.report.PacketsLost += now.PacketsLost - s.before.PacketsLost
	s.report.DroppedFrames += now.Dropped - s.before.Dropped
	s.before = now
}

// reports settles all counts and returns what the document says of the part's tracks, and the part's length.
// end lists what is still to be listed when the part ends.
func (w *writer) end() {
	for _, s := range w.streams {
		w.ended(s)
	}
}

func (w *writer) reports() (reports []ledger.TrackReport, length time.Duration) {
	reports = make([]ledger.TrackReport, len(w.streams))
	for _, s := range w.streams {
		s.settle()
		s.report.Gaps, s.report.GapsOmitted = slices.Clone(s.gaps.gaps), s.gaps.omitted
		reports[s.index] = s.report
		length = max(length, s.end)
	}
	return reports, length
}
