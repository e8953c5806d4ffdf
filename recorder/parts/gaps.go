package parts

import (
	"bytes"
	"slices"
	"time"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
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
	// maxMuted is how many tracks' mutes are remembered, and maxMutes how many of one track of which no frame comes
	// meanwhile.
	maxMuted = 64
	maxMutes = 64
	// maxAllGaps is how many gaps are remembered of all parts of one recording: more than its document lists, which has
	// the longest ones.
	maxAllGaps = 2 * document.MaxAllGaps
)

// gapList collects the gaps of one track in one part.
type gapList struct {
	gaps    []document.Gap
	omitted int
}

// add lists a gap, if there is room for one more in the recording; it says whether there is one more now.
func (l *gapList) add(kind document.GapKind, from, to time.Duration, room bool) bool {
	if n := len(l.gaps) - 1; n >= 0 && l.gaps[n].Kind == kind {
		if end := l.gaps[n].Start + l.gaps[n].Length; from.Seconds()-end < gapMerge.Seconds() {
			l.gaps[n].Length = to.Seconds() - l.gaps[n].Start
			return false
		}
	}

	if !room || len(l.gaps) == document.MaxGaps {
		l.omitted++
		return false
	}

	l.gaps = append(l.gaps, document.Gap{Kind: kind, Start: from.Seconds(), Length: (to - from).Seconds()})
	return true
}

// gap lists a gap of a stream. What is known of a whole recording is bounded, too.
func (w *writer) gap(s *stream, kind document.GapKind, from, to time.Duration) {
	if s.gaps.add(kind, from, to, w.known.gaps < maxAllGaps) {
		w.known.gaps++
	}
}

// mutes are the times, by this machine's clock, at which tracks were muted, by SID.
type mutes map[string][]mute

type mute struct{ from, to time.Time } // to is zero while it lasts

func (m mutes) set(sid string, muted bool, now time.Time) {
	last := len(m[sid]) - 1
	on := last >= 0 && m[sid][last].to.IsZero()

	switch {
	case muted && !on:
		m.makeRoom(sid)
		m[sid] = append(m[sid], mute{from: now})
	case !muted && on:
		m[sid][last].to = now
	}
}

// makeRoom sees that there is room for one more mute of a track. Two mutes become one, or the track is forgotten that
// was muted the longest time ago.
func (m mutes) makeRoom(sid string) {
	if all := m[sid]; len(all) >= maxMutes {
		all[1].from = all[0].from
		m[sid] = all[1:]
	}
	if len(m[sid]) > 0 || len(m) < maxMuted {
		return
	}

	oldest, since := "", time.Time{}
	for other, all := range m {
		if from := all[len(all)-1].from; oldest == "" || from.Before(since) {
			oldest, since = other, from
		}
	}
	delete(m, oldest)
}

// between says whether a track was muted at some moment from one frame's arrival to another's, and forgets earlier
// mutes. Signalling and packets travel apart, so a mute may be noted some frames early or late: an overlap is what
// counts.
func (m mutes) between(sid string, from, to time.Time) bool {
	left := slices.DeleteFunc(m[sid], func(x mute) bool { return !x.to.IsZero() && x.to.Before(from) })
	if len(left) == 0 {
		delete(m, sid)
		return false
	}
	m[sid] = left
	return slices.ContainsFunc(left, func(x mute) bool { return !x.from.After(to) })
}

// over forgets a track's mutes: frames flow again, even if the signalling has not said so yet.
func (m mutes) over(sid string) { delete(m, sid) }

// followed lists the gap between the stream's frames so far and the one that comes now, which lies from at to end.
func (w *writer) followed(s *stream, q queued, at, end time.Duration) {
	// A mute may cut a picture in two. The server sends nothing of its rest, so that what there is of it is taken for a
	// frame only when the next one comes, after the mute: it is the arrival of the frame before that one which counts.
	muted := s.track == q.track && w.known.mutes.between(q.track.SID(), s.arrived[0], q.at)
	if muted && q.kind() == track.Audio && isSilence(q.frame.Data) {
		return // the server fills the first second of a mute
	}

	if kind := why(s, q, muted); s.begun && kind != "" && at-s.alive >= leastGap(q.kind()) {
		w.gap(s, kind, s.alive, at)
		if muted {
			w.known.mutes.over(q.track.SID())
		}
	}

	s.alive, s.arrived = end, [2]time.Time{s.arrived[1], q.at}
}

// ended lists what was filled in behind the last frame of a stream that ends now.
func (w *writer) ended(s *stream, now time.Time) {
	if s.track == nil || s.track.Codec().Kind != track.Audio || !s.begun || s.end-s.alive <= silenceFrame {
		return
	}

	kind := document.GapUnsent
	if w.known.mutes.between(s.track.SID(), s.arrived[1], now) {
		kind = document.GapMuted
	}
	w.gap(s, kind, s.alive, s.end)
}

func leastGap(kind track.Kind) time.Duration {
	if kind == track.Audio {
		return leastAudioGap
	}
	return leastVideoGap
}

// why says what a gap before a frame would be, or nothing: a camera may be slow, and a shared screen still.
func why(s *stream, q queued, muted bool) document.GapKind {
	switch {
	case s.track != q.track:
		return document.GapAbsent
	case muted:
		return document.GapMuted
	case q.frame.AfterLoss:
		return document.GapLoss
	case q.kind() == track.Audio:
		return document.GapUnsent
	}
	return ""
}

// isSilence knows the frame that LiveKit servers send for a muted microphone, and our own: fullband CELT frames in
// which nothing but the silence flag is coded.
func isSilence(packet []byte) bool {
	return len(packet) >= 3 && packet[0]>>5 == 7 && packet[0]&3 == 0 &&
		bytes.Equal(packet[1:3], []byte{0xff, 0xfe}) && len(bytes.Trim(packet[3:], "\x00")) == 0
}
