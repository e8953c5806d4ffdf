package joining

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"livekit-recorder/recorder/track"
)

// spans are the times in which there is something of a kind of tracks, in order.
type spans []span

type span struct{ from, to time.Duration }

const (
	// together is how far apart frames may be that belong to one span: a camera may be slow.
	together = time.Second
	// mostSpans is how many are remembered.
	mostSpans = 10_000
	// correction is for how long two parts may have something at the same time by their clocks only: a recorder's idea of
	// a publisher's clock gets better with time.
	correction = 200 * time.Millisecond
	// repetition is within which time of a frame the same one, once more, shows that it is nothing special.
	repetition = 5 * time.Second
)

// add adds a frame, or says that it would need one span too many: then it is not remembered, so that it is not taken
// to stand in for another frame. Frames come nearly in order of time: one that is earlier than the last span belongs to
// it.
func (s *spans) add(at, end time.Duration) (remembered bool) {
	n := len(*s) - 1
	switch {
	case n < 0 || at > (*s)[n].to+together && n+1 < mostSpans:
		*s = append(*s, span{at, end})
		return true
	case at > (*s)[n].to+together:
		return false
	}
	s.grow(at, end)
	return true
}

// grow has the last span reach to a frame.
func (s *spans) grow(at, end time.Duration) {
	last := &(*s)[len(*s)-1]
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
	if !all.add(at, at+long) {
		all.grow(at, at+long) // rather too much is missed than too little
	}
	w.cut[kind][w.piece.n] = all
}

// covered says whether the file has something whenever a part had something that has been left out: a recorder may have
// been away from the room for a while, and what it has instead is silence. Behind as many spans as are remembered,
// nothing is known to be in the file: if something has been left out there, the parts stay.
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

// reach is when the last packet begins.
func (s scanned) reach() (last time.Duration) {
	last = s.start
	for _, e := range s.extents {
		if e.packets > 0 {
			last = max(last, e.last)
		}
	}
	return last
}

// fits says whether what is in two parts at the same time is known to be the same, so that one of the two can be left
// out. Two recorders that were in the room together got the same packets. If the publisher's clock has been set back
// between them, what they have has nothing to do with each other. There is so much sound that it decides; pictures do
// where it has nothing to say.
func (s scanned) fits(next scanned) bool {
	from, to := next.begin(), min(s.reach(), next.reach())
	within := next.end() <= s.end()
	if to < from || to-from <= correction && !within {
		return true
	}

	var theirs, ours likeness
	if s.has(track.Audio) && next.has(track.Audio) {
		picked := s.picked | next.picked
		theirs = compare(s.marks, next.marks, from, to, picked)
		if !within { // else nothing of this one is left out
			ours = compare(next.marks, s.marks, from, to, picked)
		}
	}
	if theirs.telling+ours.telling > 0 {
		return theirs.same() && ours.same()
	}
	if keys := compare(s.keys, next.keys, from, to, 0); keys.telling > 0 {
		return keys.same()
	}

	// There is silence only, as far as is known: that is missed by nobody. But pictures would be.
	silent := theirs.all+ours.all == 0 && s.picked|next.picked == 0
	return silent && !(s.has(track.Video) && next.has(track.Video) && next.extents[track.Video].from <= to)
}

// likeness is how many frames a part has, how many of them say something, and how many of those another part has, too.
type likeness struct{ all, telling, found int }

// same allows for what one of two recorders has not got, or has at the edge, where clocks differ.
func (l likeness) same() bool { return 2*l.found >= l.telling }

// compare looks for the frames that a part has between two times in another part, where they are at about the same
// time. One that comes again and again, such as a beep, or a slide that stays, does not tell at which time it was.
// Frames with one of the bits of picked are remembered in one of the two parts at most.
func compare(others, own []keyFrame, from, to time.Duration, picked uint64) (l likeness) {
	for _, f := range own {
		if f.at < from || f.at > to || f.sum&picked != 0 {
			continue
		}
		l.all++
		if times(own, f, repetition) > 1 || times(others, f, repetition) > 1 {
			continue
		}
		l.telling++
		l.found += times(others, f, clockDifference)
	}
	return l
}

// times is how often a frame is among others that are less than a time away from it.
func times(frames []keyFrame, frame keyFrame, away time.Duration) (n int) {
	first, _ := slices.BinarySearchFunc(frames, frame.at-away+1, func(k keyFrame, at time.Duration) int {
		return cmp.Compare(k.at, at)
	})
	for _, k := range frames[first:] {
		if k.at >= frame.at+away {
			break
		}
		if k.sum == frame.sum {
			n++
		}
	}
	return n
}
