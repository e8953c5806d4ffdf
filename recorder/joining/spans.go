package joining

import (
	"fmt"
	"time"

	"livekit-recorder/recorder/track"
)

// spans are the times in which there is something of a kind of tracks, in order.
type spans []span

type span struct{ from, to time.Duration }

const (
	// together is how far apart frames may be that belong to one span: a camera may be slow.
	together = time.Second
	// mostSpans is how many are remembered; of more, the last one grows.
	mostSpans = 10_000
)

// add adds a frame. Frames come nearly in order of time: one that is earlier than the last span belongs to it.
func (s *spans) add(at, end time.Duration) {
	n := len(*s) - 1
	if n < 0 || at > (*s)[n].to+together && n+1 < mostSpans {
		*s = append(*s, span{at, end})
		return
	}
	last := &(*s)[n]
	last.from, last.to = min(last.from, at), max(last.to, end)
}

// without is the longest time that is in none of the others.
func (s spans) without(others spans) (longest time.Duration) {
	for _, own := range s {
		at := own.from
		for _, o := range others {
			if o.to <= at {
				continue
			}
			longest = max(longest, min(o.from, own.to)-at)
			if at = max(at, o.to); at >= own.to {
				break
			}
		}
		longest = max(longest, own.to-at)
	}
	return longest
}

// leftOut notes a frame that is not in the file. Those of silence are missed by nobody.
func (w *weave) leftOut(kind track.Kind, at time.Duration, data []byte, long time.Duration) {
	if kind == track.Audio && filledIn(data, long) {
		return
	}
	if w.cut[kind] == nil {
		w.cut[kind] = map[int]spans{}
	}
	all := w.cut[kind][w.piece.n]
	all.add(at, at+long)
	w.cut[kind][w.piece.n] = all
}

// covered says whether the file has something whenever a part had something that has been left out: a recorder may have
// been away from the room for a while, and what it has instead is silence.
func (w *weave) covered() error {
	for kind, parts := range w.cut {
		kept := spans{}
		if s := w.strands[kind]; s != nil {
			kept = s.spans
		}
		for _, cut := range parts {
			if lost := cut.without(kept); lost > together {
				return fmt.Errorf("%w: %s of %s, which are in one of two parts that overlap, would be lost", errCounted,
					lost.Round(time.Millisecond), kind)
			}
		}
	}
	return nil
}
