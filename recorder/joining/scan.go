package joining

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

const (
	// mostKeys is how many key frames of a part are remembered: of more, every second one is as good.
	mostKeys = 1 << 16
	// longestInterval is the longest time between two pictures that says how long one is shown.
	longestInterval = time.Second
	// shortest is by how much a file may be shorter than its document says: more has been cut off.
	shortest = 500 * time.Millisecond
	// mostMarks is how many frames of sound of a part are remembered by their bytes: those of 90 minutes of speech. Of
	// more, only some are, picked by their bytes, so that two recorders pick the same.
	mostMarks = 1 << 18
	// leastMark is the fewest bytes of a frame of sound that says something. A shorter one is background noise, or
	// silence, and looks like many others.
	leastMark = 8
)

// mark is a frame that is remembered, to be found again in another part.
func (s *scanned) mark(at time.Duration, p mux.Packet) {
	if len(p.Data) < leastMark || filledIn(p.Data, p.Length) {
		return
	}
	sum := crc64.Checksum(p.Data, sums)
	if sum&s.picked != 0 {
		return
	}
	s.marks = append(s.marks, keyFrame{at, sum})
	for len(s.marks) > mostMarks {
		s.picked = s.picked<<1 | 1
		s.marks = slices.DeleteFunc(s.marks, func(k keyFrame) bool { return k.sum&s.picked != 0 })
	}
}

// origin is when the earliest of some parts begins, as far as that is known of any.
func origin(parts []document.Part) (earliest time.Time) {
	for _, p := range parts {
		if p.StartedAt != nil && (earliest.IsZero() || p.StartedAt.Before(earliest)) {
			earliest = *p.StartedAt
		}
	}
	return earliest
}

// read reads a part from its beginning to its end. The first picture of an MP4 file that was written while it grew has
// no time of its own there, but in the document.
func (j *Joiner) read(ctx context.Context, s *scanned, pace func(context.Context) error, began func([]mux.Stream) error,
	each func(mux.Packet) error) error {
	var kinds []track.Kind
	seen := false
	source := &source{ctx: ctx, joiner: j, file: s.file, pace: pace}
	return j.Media.Demux(ctx, mux.Media{Body: source, Size: s.file.size, Container: s.part.Container},
		func(streams []mux.Stream) error {
			for _, stream := range streams {
				kinds = append(kinds, stream.Codec.Kind)
			}
			return began(streams)
		},
		func(p mux.Packet) error {
			if kinds[p.Stream] == track.Video && !seen {
				seen = true
				p.At = max(p.At, firstPicture(s.part))
			}
			return each(p)
		})
}

// firstPicture is when an MP4 file's pictures begin, as far as its document says; 0 for other files.
func firstPicture(part document.Part) time.Duration {
	for _, t := range part.Tracks {
		if t.Kind == string(track.Video) && part.Container == string(track.MP4) {
			return seconds(t.Offset)
		}
	}
	return 0
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

var sums = crc64.MakeTable(crc64.ECMA)

// scan finds out what a part has.
func (j *Joiner) scan(ctx context.Context, s *scanned) error {
	s.extents = map[track.Kind]extent{}
	var kinds []track.Kind
	last, interval := map[int]time.Duration{}, time.Duration(0)
	reorders := false
	err := j.read(ctx, s, nil, func(streams []mux.Stream) error {
		s.streams = streams
		for _, stream := range streams {
			kinds = append(kinds, stream.Codec.Kind)
		}
		return nil
	}, func(p mux.Packet) error {
		at, kind := s.start+p.At, kinds[p.Stream]
		e := s.extents[kind]
		if e.packets == 0 {
			e.from, e.last = at, at
			if kind == track.Video {
				s.contained = contained(s.streams[p.Stream].Codec.Name, p.Data)
			}
		}
		if before, ok := last[p.Stream]; ok && at < before {
			reorders = true
		} else if ok && kind == track.Video && at-before <= longestInterval {
			interval = at - before
		}
		last[p.Stream] = at
		if kind == track.Audio {
			s.mark(at, p)
		}

		e.packets++
		e.last = max(e.last, at)
		e.to = max(e.to, at+max(p.Length, shown(kind, interval)))
		s.extents[kind] = e
		if kind == track.Video && p.Key {
			s.keys = append(s.keys, keyFrame{at, crc64.Checksum(p.Data, sums)})
		}
		if len(s.keys) > mostKeys {
			s.keys = everySecond(s.keys)
		}
		return nil
	})
	switch {
	case errors.Is(err, mux.ErrNoMedia):
		s.problem = "its file cannot be read: " + err.Error()
		return nil
	case err != nil:
		return err
	case s.part.StartedAt == nil || s.part.Recovered && len(s.part.Tracks) == 0:
		s.problem = separateStart
	case reorders:
		s.problem = separateReorders
	case len(s.extents) == 0:
		s.problem = "its file is empty"
	case s.end()-s.start < seconds(s.part.Duration)-shortest:
		s.problem = fmt.Sprintf("its file ends after %.1f of %.1f seconds", (s.end() - s.start).Seconds(), s.part.Duration)
	}
	return nil
}

// everySecond leaves the first one, and every second one behind it.
func everySecond(keys []keyFrame) []keyFrame {
	n := 0
	return slices.DeleteFunc(keys, func(keyFrame) bool { n++; return n%2 == 0 })
}

// shown is for how long a frame is shown, if it is one.
func shown(kind track.Kind, interval time.Duration) time.Duration {
	if kind == track.Video {
		return interval
	}
	return 0
}

// contained says whether a key frame has what a decoder needs: all codecs' have, but H264's parameter sets may come
// once only.
func contained(codec string, frame []byte) bool {
	if codec != "h264" {
		return true
	}
	const header = 4 // bytes that say how long a NAL unit is
	for len(frame) > header {
		size := int64(binary.BigEndian.Uint32(frame))
		if h264.NALUType(frame[header]&0x1f) == h264.NALUTypeSPS {
			return true
		}
		if size > int64(len(frame)-header) {
			return false
		}
		frame = frame[header+size:]
	}
	return false
}
