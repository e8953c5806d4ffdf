package parts

import (
	"time"

	"livekit-recorder/recorder/track"
)

const (
	silenceFrame = 20 * time.Millisecond
	// fillLag is how far silent audio may be behind the video before it is filled up. Gaps are filled exactly when the
	// audio comes back; this only keeps the streams of the file close together meanwhile.
	fillLag = 200 * time.Millisecond
	// gapThreshold is the shortest gap between two audio frames that is filled: what is shorter is the clock's
	// correction.
	gapThreshold = 5 * time.Millisecond
	// silenceAtOnce is how much silence is written at once. The silence of somebody who was muted for hours has millions
	// of frames, and the recording must hear of other things meanwhile.
	silenceAtOnce = time.Minute
)

// fillUp keeps audio that is silent from falling far behind the other stream, which is at now.
func (w *writer) fillUp(audio *stream, now time.Duration) error {
	if now-audio.end < fillLag {
		return nil
	}
	return w.fill(audio, now-silenceFrame)
}

// fill puts silence between the end of the audio, or the beginning of the part, and until: whole frames of 20, then
// 10, 5 and 2.5 ms, so that players that count samples stay as exact as those that read timestamps.
func (w *writer) fill(s *stream, until time.Duration) error {
	if until-s.end < gapThreshold {
		return nil
	}

	for length := silenceFrame; length >= 2500*time.Microsecond; length /= 2 {
		for until-s.end >= length {
			if err := w.file.Write(s.index, s.end, true, track.Silence(s.config.Channels, length)); err != nil {
				return err
			}
			s.last, s.end = s.end, s.end+length
			s.report.FilledSilence += length.Seconds()
		}
	}
	return nil
}

// approach writes some of the silence before a frame, if there is a lot of it. It says whether there is more.
func (w *writer) approach(q queued) (more bool, err error) {
	audio := w.streams[track.Audio]
	if audio == nil {
		return false, nil
	}

	until := audio.end + silenceAtOnce
	if q.time.Sub(w.origin) <= until {
		return false, nil
	}
	return true, w.fill(audio, until)
}
