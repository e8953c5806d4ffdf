package parts

import (
	"maps"
	"slices"
	"time"

	"livekit-recorder/recorder/metrics"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// What is counted for operators.
var (
	audioFrames, videoFrames = metrics.Frames.With("audio"), metrics.Frames.With("video")
	overlapping, incomplete  = metrics.FramesDropped.With("overlapping"), metrics.FramesDropped.With("incomplete")
)

// stream is one stream of a part as far as it is written.
type stream struct {
	index  int
	codec  track.Codec
	config track.Config
	report document.TrackReport

	track    Track         // that feeds it at the moment
	begun    bool          // with a frame of its own
	alive    time.Duration // behind the newest frame of its own; what is behind that was filled in
	arrived  [2]time.Time  // when the newest two frames of its own did, the newest last
	gaps     gapList
	last     time.Duration // time of the newest frame
	end      time.Duration // behind the newest frame
	interval time.Duration // between the newest two, for video
}

// writer places frames in one part: it gives them their time since the part's beginning, and keeps audio continuous.
type writer struct {
	file    File
	origin  time.Time
	streams map[track.Kind]*stream
	known   *known
}

// known is what is known of the tracks of a recording, whichever part their frames go to.
type known struct {
	mutes   mutes
	counted map[Track]track.Stats // what parts have reported already
	gaps    int                   // how many are listed
}

// forget lets go of tracks that are over.
func (k *known) forget(over func(Track) bool) {
	maps.DeleteFunc(k.counted, func(t Track, _ track.Stats) bool { return over(t) })
}

func newWriter(file File, origin time.Time, streams []mux.Stream, known *known) *writer {
	w := &writer{
		file:    file,
		origin:  origin,
		streams: map[track.Kind]*stream{},
		known:   known,
	}

	for index, s := range streams {
		w.streams[s.Codec.Kind] = &stream{index: index, codec: s.Codec, config: s.Config}
	}
	return w
}

// write appends a frame of a kind that the part has a stream for. Frames come in order of time.
func (w *writer) write(q queued) error {
	s := w.streams[q.kind()]
	at := q.time.Sub(w.origin)

	if audio := w.streams[track.Audio]; audio != nil && audio != s {
		if err := w.fillUp(audio, at); err != nil {
			return err
		}
	}
	if q.kind() == track.Audio {
		return w.writeAudio(s, at, q)
	}
	return w.writeVideo(s, at, q)
}

func (w *writer) writeVideo(s *stream, at time.Duration, q queued) error {
	if s.begun && at < s.last+time.Millisecond && !s.config.Reorders {
		at = s.last + time.Millisecond // two frames of one stream never share a timestamp
	}
	if s.begun && at > s.last {
		s.interval = frameLength(at-s.last, s.interval)
	}

	w.followed(s, q, at, at+s.interval)
	w.attribute(s, q)

	s.report.Frames++
	videoFrames.Inc()
	if q.frame.Key {
		s.report.KeyFrames++
		s.report.Width, s.report.Height = q.frame.Config.Width, q.frame.Config.Height
	}
	return w.put(s, at, max(s.end, at+s.interval), q.frame.Key, q.frame.Data)
}

// longestInterval is the longest time between two pictures that says something about how long one is shown: what is
// longer is a gap.
const longestInterval = time.Second

// frameLength is how long a picture is shown, by the time since the one before, and how long that one was.
func frameLength(since, before time.Duration) time.Duration {
	if since > longestInterval {
		return before
	}
	return since
}

func (w *writer) writeAudio(s *stream, at time.Duration, q queued) error {
	f := q.frame
	if at < s.end-f.Duration/2 {
		overlapping.Inc()
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
	audioFrames.Inc()
	return w.put(s, at, at+f.Duration, true, f.Data)
}

// put writes a frame that lies from at to end.
func (w *writer) put(s *stream, at, end time.Duration, key bool, data []byte) error {
	if !s.begun {
		s.begun = true
		first := w.origin.Add(at).UTC()
		s.report.FirstFrameAt, s.report.Offset = &first, at.Seconds()
	}

	if err := w.file.Write(s.index, at, key, data); err != nil {
		return err
	}

	s.last, s.end = at, end
	s.report.Duration = (end - time.Duration(s.report.Offset*float64(time.Second))).Seconds()
	return nil
}

// attribute notes which track feeds a stream, and counts what came of the one that did before.
func (w *writer) attribute(s *stream, q queued) {
	if s.track == q.track {
		return
	}

	w.count(s)
	if s.track != nil {
		delete(w.known.counted, s.track) // it is over: a newer track takes over for good
	}
	s.track = q.track
	s.report.SID, s.report.Source, s.report.Codec = q.track.SID(), q.track.Source(), q.track.Codec().Name
	s.report.Kind = string(q.kind())
}

// count adds what has come of a stream's track since that was last counted, in this part or in one before it.
func (w *writer) count(s *stream) {
	if s.track == nil {
		return
	}

	now, before := s.track.Stats(), w.known.counted[s.track]
	s.report.ClockOffset = s.track.ClockOffset().Seconds()
	s.report.PacketsReceived += now.PacketsReceived - before.PacketsReceived
	s.report.PacketsLost += now.PacketsLost - before.PacketsLost
	s.report.DroppedFrames += now.Dropped - before.Dropped
	metrics.PacketsReceived.Add(now.PacketsReceived - before.PacketsReceived)
	metrics.PacketsLost.Add(now.PacketsLost - before.PacketsLost)
	incomplete.Add(now.Dropped - before.Dropped)
	w.known.counted[s.track] = now
}

// end lists what is still to be listed when the part ends.
func (w *writer) end(now time.Time) {
	for _, s := range w.streams {
		w.ended(s, now)
	}
}

// reports returns what the document says of the part's tracks at the moment, and the part's length. A stream of which
// no frame has come is nobody's yet.
func (w *writer) reports() (reports []document.TrackReport, length time.Duration) {
	reports = make([]document.TrackReport, len(w.streams))

	for _, s := range w.streams {
		w.count(s)
		s.report.Gaps, s.report.GapsOmitted = slices.Clone(s.gaps.gaps), s.gaps.omitted
		reports[s.index] = s.report
		length = max(length, s.end)
	}
	reports = slices.DeleteFunc(reports, func(r document.TrackReport) bool { return r.Kind == "" })
	return reports, length
}
