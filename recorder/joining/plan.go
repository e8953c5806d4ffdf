package joining

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// longestGap is the longest time between two parts that is filled with silence: SQS lets nobody wait for longer.
const longestGap = 12 * time.Hour

// Reasons why a part is not in one file with those before it.
const (
	separateStart    = "when it began is known by its file only"
	separateReorders = "its pictures are sent in another order than they are shown in"
	separateGap      = "it began more than 12 hours after what is before it"
	separateWithin   = "what is before it goes on for longer, and it has other kinds of tracks"
	separateKinds    = "it overlaps with what is before it, and has no sound"
	separateSets     = "its pictures need other parameter sets, which are in its header only"
	separateBehind   = "what is before it is separate"
	separateClock    = "its clock does not fit: it has not what is before it has at the same time"
	separateChannels = "its sound has other channels"
)

// scanned is what a part has. Times are since the beginning of the recording's first part.
type scanned struct {
	part    document.Part
	file    stored
	start   time.Duration // of the file's own time
	streams []mux.Stream
	extents map[track.Kind]extent
	keys    []keyFrame // in order of time
	// contained says that the first key frame has with it what a decoder needs.
	contained bool
	problem   string // why it cannot be joined to anything

	// marks are frames of sound that is no silence, in order of time: those whose sums have none of the bits of picked.
	marks  []keyFrame
	picked uint64
}

// keyFrame is one in a part, or a frame of sound. Two recorders that had the same have the same sum for it.
type keyFrame struct {
	at  time.Duration
	sum uint64
}

// clockDifference is by how much the clocks of two recorders' parts may differ: the same frame has two times then.
const clockDifference = time.Second

// extent is from when to when a stream goes, and how many packets it has.
type extent struct {
	from, to time.Duration
	packets  int64
	last     time.Duration // when the last packet begins
}

func (s scanned) has(kind track.Kind) bool { return s.extents[kind].packets > 0 }

// begin is when the first packet is, end when the last one ends.
func (s scanned) begin() (begin time.Duration) {
	begin = s.end()
	for _, e := range s.extents {
		if e.packets > 0 {
			begin = min(begin, e.from)
		}
	}
	return begin
}

func (s scanned) end() (end time.Duration) {
	end = s.start
	for _, e := range s.extents {
		end = max(end, e.to)
	}
	return end
}

// covers says whether a part has every kind of track that another one has.
func (s scanned) covers(other scanned) bool {
	return (s.has(track.Audio) || !other.has(track.Audio)) && (s.has(track.Video) || !other.has(track.Video))
}

func (s scanned) stream(kind track.Kind) (mux.Stream, bool) {
	n := slices.IndexFunc(s.streams, func(s mux.Stream) bool { return s.Codec.Kind == kind })
	if n < 0 || !s.has(kind) {
		return mux.Stream{}, false
	}
	return s.streams[n], true
}

// piece is what a file gets of a part: its pictures from a time on, its sound from where the part before ends, and both
// before another time. There is nothing if that is not later.
type piece struct {
	n        int // of the part
	from, to time.Duration
}

// group are the parts that become one file, in order of time.
type group struct {
	pieces   []piece
	separate string // why it is not in one file with those before it
}

// plan says which parts become one file, and where each of them goes on in the next one. A part goes on until a key
// frame of the next one, as late as possible: what was stored first stays. Parts are in order of time.
func plan(parts []scanned) (groups []group) {
	for n, part := range parts {
		separate := ""
		if len(groups) > 0 {
			g := &groups[len(groups)-1]
			if separate = g.add(parts, n); separate == "" {
				continue
			}
		}
		g := group{separate: separate}
		g.pieces = append(g.pieces, piece{n, part.begin(), part.end()})
		groups = append(groups, g)
	}
	return groups
}

// add adds a part, or says why that is not possible.
func (g *group) add(parts []scanned, n int) (separate string) {
	next := parts[n]
	if why := g.unfit(parts, next); why != "" {
		return why
	}

	kept := slices.Clone(g.pieces)
	for {
		last := lastOf(kept)
		before := parts[last.n]
		inside := next.end() <= before.end() && before.covers(next)
		switch {
		case inside && before.fits(next):
			g.pieces = append(kept, piece{n, next.begin(), next.begin()}) // all of it is there already
			return ""
		case next.end() < before.end() && !inside:
			return separateWithin
		case next.begin() < before.end() && before.has(track.Audio) && !next.has(track.Audio):
			return separateKinds
		case !before.fits(next):
			return separateClock
		}

		at := cut(before, next)
		if at > last.from || at == last.from && len(kept) == 1 {
			kept[last.at].to = min(before.same(next, at), before.end())
			g.pieces = append(kept, piece{n, at, next.end()})
			return ""
		}
		// The next part has no key frame within this one, but one before it: nothing of this one is needed.
		kept[last.at].to = last.from
		if !slices.ContainsFunc(kept, func(p piece) bool { return p.to > p.from }) {
			g.pieces = append(kept, piece{n, at, next.end()})
			return ""
		}
		back := lastOf(kept)
		kept[back.at].to = parts[back.n].end()
	}
}

// position is a piece and where it is in a list.
type position struct {
	piece
	at int
}

// lastOf is the last piece of which something is used.
func lastOf(pieces []piece) position {
	for at, p := range slices.Backward(pieces) {
		if p.to > p.from {
			return position{p, at}
		}
	}
	return position{pieces[0], 0}
}

// cut is when a part goes on in the next one.
func cut(before, next scanned) time.Duration {
	begin, end := next.begin(), before.end()
	behind, found := slices.BinarySearchFunc(next.keys, end, func(k keyFrame, at time.Duration) int {
		return cmp.Compare(k.at, at)
	})
	if found {
		behind++
	}
	switch {
	case begin >= end:
		return begin
	case behind == 0:
		return end // pictures begin later, if there are any
	case !before.has(track.Video):
		return next.keys[0].at
	}
	return next.keys[behind-1].at
}

// same is when a part has the key frame that another one has at a time; the same time if it is not known to have it.
func (s scanned) same(other scanned, at time.Duration) time.Duration {
	n := slices.IndexFunc(other.keys, func(k keyFrame) bool { return k.at == at })
	if n < 0 {
		return at
	}
	for _, k := range slices.Backward(s.keys) {
		if k.sum == other.keys[n].sum && (k.at-at).Abs() < clockDifference {
			return k.at
		}
	}
	return at
}

// unfit says why a part cannot be in the group's file, wherever it is cut.
func (g *group) unfit(parts []scanned, next scanned) string {
	last := parts[g.pieces[len(g.pieces)-1].n]
	switch {
	case next.problem != "":
		return next.problem
	case last.problem != "":
		return separateBehind
	}

	end := time.Duration(0)
	for _, p := range g.pieces {
		part := parts[p.n]
		end = max(end, part.end())
		if why := mismatch(part, next); why != "" {
			return why
		}
	}
	if next.begin()-end > longestGap {
		return separateGap
	}
	return ""
}

// mismatch says why two parts cannot share the header of a file.
func mismatch(a, b scanned) string {
	picture, hasPicture := a.stream(track.Video)
	other, otherHas := b.stream(track.Video)
	if hasPicture && otherHas {
		switch {
		case picture.Codec.Name != other.Codec.Name:
			return fmt.Sprintf("its pictures are %s, those before it %s", other.Codec.Name, picture.Codec.Name)
		case !bytes.Equal(picture.Config.Private, other.Config.Private) && !(a.contained && b.contained):
			return separateSets
		}
	}

	sound, hasSound := a.stream(track.Audio)
	another, anotherHas := b.stream(track.Audio)
	if hasSound && anotherHas && (family(sound) != 0 || family(another) != 0) &&
		!bytes.Equal(sound.Config.Private, another.Config.Private) {
		return separateChannels
	}
	return ""
}

// family is Opus' channel mapping family (RFC 7845, section 5.1.1): in 0, packets with fewer channels than the header
// says are fine.
func family(s mux.Stream) byte {
	const at = 18
	if len(s.Config.Private) <= at {
		return 0
	}
	return s.Config.Private[at]
}

// header are the streams of a group's file: the largest picture, and the most channels.
func (g *group) header(parts []scanned) (streams []mux.Stream) {
	for _, kind := range []track.Kind{track.Video, track.Audio} {
		var best *mux.Stream
		for _, p := range g.pieces {
			s, ok := parts[p.n].stream(kind)
			if ok && p.to > p.from && (best == nil || extentOf(s) > extentOf(*best)) {
				best = &s
			}
		}
		if best != nil {
			streams = append(streams, *best)
		}
	}
	return streams
}

func extentOf(s mux.Stream) int { return s.Config.Width*s.Config.Height + s.Config.Channels }
