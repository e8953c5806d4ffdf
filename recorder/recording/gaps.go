package recording

import (
	"bytes"
	"slices"
	"time"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/ledger"
)

const (
	// gapMerge is how far apart gaps of one kind must be to be listed separately: discontinuous transmission sends a
	// frame of comfort noise every 400 ms.
	gapMerge = 100 * time.Millisecond
	// leastAudioGap is the shortest gap between audio frames that is listed: what is shorter than the shortest usual
	// frame is the clock's correction.
	leastAudioGap = 15 * time.Millisecond
	// leastVideoGap is the shortest time without a new picture that is listed, if something is known to be missing.
	leastVideoGap = 100 * time.Millisecond
)

// gapList collects the gaps of one track in one part.
type gapList struct {
	gaps    []ledger.Gap
	omitted int
}

func (l *gapList) add(kind ledger.GapKind, from, to time.Duration) {
	if n := len(l.gaps) - 1; n >= 0 && l.gaps[n].Kind == kind {
		if end := l.gaps[n].Start + l.gaps[n].Length; from.Seconds()-end < gapMerge.Seconds() {
			l.gaps[n].Length = to.Seconds() - l.gaps[n].Start
			return
		}
	}
	if len(l.gaps) == ledger.MaxGaps {
		l.omitted++
		return
	}
	l.gaps = append(l.gaps, ledger.Gap{Kind: kind, Start: from.Seconds(), Length: (to - from).Seconds()})
}

// mutes are the times, by this machine's clock, at which tracks were muted, by SID.
type mutes map[string][]mute

type mute struct{ from, to time.Time } // to is zero while it lasts

func (m mutes) set(sid string, muted bool, now time.Time) {
	last := len(m[sid]) - 1
	on := last >= 0 && m[sid][last].to.IsZero()
	switch {
	case muted && !on:
		m[sid] = append(m[sid], mute{from: now})
	case !muted && on:
		m[sid][last].to = now
	}
}

// between says whether a track was muted at some moment between the arrivals of two frames, and forgets earlier mutes.
// Signalling and packets travel apart, so a mute may be noted some frames early or late: an overlap is what counts.
func (m mutes) between(sid string, from, to time.Time) bool {
	m[sid] = slices.DeleteFunc(m[sid], func(x mute) bool { return !x.to.IsZero() && x.to.Before(from) })
	return slices.ContainsFunc(m[sid], func(x mute) bool { return !x.from.After(to) })
}

// over forgets a track's mutes: frames flow again, even if the signalling has not said so yet.
func (m mutes) over(sid string) { delete(m, sid) }

// followed lists the gap between the stream's frames so far and the one that comes now, which lies from at to end.
func (w *writer) followed(s *stream, q unit, at, end time.Duration) {
	muted := s.track == q.track && w.mutes.between(q.track.SID, s.aliveAt, q.at)
	if muted && q.track.Codec.Kind == track.Audio && isSilence(q.frame.Data) {
		return // the server fills the first second of a mute
	}
	if kind := why(s, q, muted); s.begun && kind != "" && at-s.alive >= leastGap(q.track.Codec.Kind) {
		s.gaps.add(kind, s.alive, at)
		if muted {
			w.mutes.over(q.track.SID)
		}
	}
	s.alive, s.aliveAt = end, q.at
}

// ended lists what was filled in behind the last frame of a stream that ends now.
func (w *writer) ended(s *stream) {
	if s.track == nil || s.track.Codec.Kind != track.Audio || !s.begun || s.end-s.alive <= silenceFrame {
		return
	}
	kind := ledger.GapUnsent
	if w.mutes.between(s.track.SID, s.aliveAt, time.Now()) {
		kind = ledger.GapMuted
	}
	s.gaps.add(kind, s.alive, s.end)
}

func leastGap(kind track.Kind) time.Duration {
	if kind == track.Audio {
		return leastAudioGap
	}
	return leastVideoGap
}

// why says what a gap before a frame would be, or nothing: a camera may be slow, and a shared screen still.
func why(s *stream, q unit, muted bool) ledger.GapKind {
	switch {
	case s.track != q.track:
		return ledger.GapAbsent
	case muted:
		return ledger.GapMuted
	case q.frame.AfterLoss:
		return ledger.GapLoss
	case q.track.Codec.Kind == track.Audio:
		return ledger.GapUnsent
	}
	return ""
}

// isSilence knows the frame that LiveKit servers send for a muted microphone, and our own: fullband CELT frames in which
// nothing but the silence flag is coded.
func isSilence(packet []byte) bool {
	return len(packet) >= 3 && packet[0]>>5 == 7 && packet[0]&3 == 0 && bytes.Equal(packet[1:3], []byte{0xff, 0xfe}) &&
		len(bytes.Trim(packet[3:], "\x00")) == 0
}
