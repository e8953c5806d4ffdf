package joining

import (
	"bytes"
	"time"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

const (
	silenceFrame = 20 * time.Millisecond
	// fillLag is how far silent sound may be behind the pictures before it is filled up.
	fillLag = 200 * time.Millisecond
	// leastFill is the shortest gap between two frames of sound that is filled: what is shorter is a clock's correction.
	leastFill = 5 * time.Millisecond
	// leastSoundGap and leastPictureGap are the shortest times without frames, from one part to the next, that are listed.
	leastSoundGap   = 15 * time.Millisecond
	leastPictureGap = 500 * time.Millisecond
)

// weave writes the frames of parts into one file: each at its own time, one part after the other.
type weave struct {
	file    parts.File
	origin  time.Duration // the file's beginning
	strands map[track.Kind]*strand
	part    *scanned // that is being written
	piece   piece
	cut     map[track.Kind]map[int]spans // what has been left out, by parts
}

// strand is a stream of the file as far as it is written.
type strand struct {
	index    int
	channels int
	begun    bool
	part     *scanned // that the newest frame is of
	last     time.Duration
	end      time.Duration // behind the newest frame
	alive    time.Duration // behind the newest frame that was not filled in
	interval time.Duration // between the newest two pictures
	first    time.Duration

	count count
	gaps  []document.Gap
	spans spans // of what was not filled in
}

// count is what a stream has.
type count struct {
	packets, frames, keys int64 // frames are packets that were in a part
	silence               time.Duration
}

func newWeave(file parts.File, origin time.Duration, streams []mux.Stream) *weave {
	w := &weave{file: file, origin: origin, strands: map[track.Kind]*strand{}, cut: map[track.Kind]map[int]spans{}}
	for n, s := range streams {
		w.strands[s.Codec.Kind] = &strand{index: n, channels: s.Config.Channels}
	}
	return w
}

// begin goes on with another part.
func (w *weave) begin(part *scanned, p piece) { w.part, w.piece = part, p }

// write takes the next packet of the part. It says whether it is in the file.
func (w *weave) write(kind track.Kind, p mux.Packet) (kept bool, err error) {
	if kept, err = w.place(kind, p); !kept && err == nil {
		w.leftOut(kind, w.part.start+p.At-w.origin, p.Data, p.Length)
	}
	return kept, err
}

func (w *weave) place(kind track.Kind, p mux.Packet) (kept bool, err error) {
	at := w.part.start + p.At
	s := w.strands[kind]
	switch {
	case at >= w.piece.to:
		return false, nil
	case kind == track.Audio: // what the part before has is known there
		return w.sound(s, at-w.origin, p)
	case at < w.piece.from:
		return false, nil
	}

	if s.part != w.part && !p.Key {
		return false, nil // nobody could decode it
	}
	return true, w.picture(s, at-w.origin, p)
}

func (w *weave) picture(s *strand, at time.Duration, p mux.Packet) error {
	if sound := w.strands[track.Audio]; sound != nil {
		if err := w.fillUp(sound, at); err != nil {
			return err
		}
	}
	if s.begun {
		at = max(at, s.last+time.Millisecond) // two frames of one stream never share a timestamp
		if since := at - s.last; since <= longestInterval {
			s.interval = since
		}
		w.gap(s, at, leastPictureGap)
	}
	if p.Key {
		s.count.keys++
	}
	s.count.frames++
	return w.put(s, at, at+s.interval, p)
}

func (w *weave) sound(s *strand, at time.Duration, p mux.Packet) (kept bool, err error) {
	long := p.Length
	if at < s.end-long/2 {
		return false, nil // the part before has the same
	}
	if s.begun {
		w.gap(s, at, leastSoundGap)
	}
	if err := w.fill(s, at); err != nil {
		return false, err
	}
	if s.begun {
		at = max(at, s.last+time.Millisecond)
	}
	s.count.frames++
	return true, w.put(s, at, at+long, p)
}

// filledIn says of a frame that it is silence, such as recorders put into gaps.
func filledIn(data []byte, long time.Duration) bool {
	return bytes.Equal(data, track.Silence(1, long)) || bytes.Equal(data, track.Silence(2, long))
}

// put writes a frame of a part.
func (w *weave) put(s *strand, at, end time.Duration, p mux.Packet) error {
	if !s.begun {
		s.begun, s.first = true, at
	}
	if err := w.file.Write(s.index, at, p.Key || s.channels > 0, p.Data); err != nil {
		return err
	}
	s.count.packets++
	if s.channels == 0 || !filledIn(p.Data, end-at) {
		s.spans.add(at, end)
	}
	s.part, s.last, s.end, s.alive = w.part, at, end, end
	return nil
}

// gap lists the time from one part to the next in which there is nothing of a stream.
func (w *weave) gap(s *strand, at, least time.Duration) {
	if s.part == w.part || at-s.alive < least {
		return
	}
	s.gaps = append(s.gaps, document.Gap{
		Kind:   document.GapUnrecorded,
		Start:  s.alive.Seconds(),
		Length: (at - s.alive).Seconds(),
	})
}

// fillUp keeps sound that the part does not have, or not yet, or no more, close to the pictures.
func (w *weave) fillUp(s *strand, now time.Duration) error {
	e, until := w.part.extents[track.Audio], now-silenceFrame
	if from := max(e.from, w.piece.from) - w.origin; e.packets > 0 && now < e.to-w.origin {
		until = min(until, from) // what comes from then on is in the part
	}
	if now-s.end < fillLag {
		return nil
	}
	return w.fill(s, until)
}

// fill puts silence between the end of the sound and a time: whole frames of 20, then 10, 5 and 2.5 ms.
func (w *weave) fill(s *strand, until time.Duration) error {
	if until-s.end < leastFill {
		return nil
	}
	for long := silenceFrame; long >= silenceFrame/8; long /= 2 {
		for until-s.end >= long {
			if err := w.file.Write(s.index, s.end, true, track.Silence(s.channels, long)); err != nil {
				return err
			}
			s.count.packets++
			s.last, s.end, s.count.silence = s.end, s.end+long, s.count.silence+long
		}
	}
	return nil
}

// length is how long the file is.
func (w *weave) length() (end time.Duration) {
	for _, s := range w.strands {
		end = max(end, s.end)
	}
	return end
}
