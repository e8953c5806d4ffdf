package joining

import (
	"slices"
	"time"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// packets is how many a part has.
func (s scanned) packets() (n int64) {
	for _, e := range s.extents {
		n += e.packets
	}
	return n
}

// describe says what the document is to say of a group's file. Cuts are how many packets of each part are not in it.
func describe(w *weave, g group, all []scanned, cuts []int64) document.Part {
	first := all[g.pieces[0].n].part
	part := document.Part{
		State:     document.Completed,
		StartedAt: first.StartedAt,
		Duration:  w.length().Seconds(),
		Tracks:    make([]document.TrackReport, len(w.strands)),
		Separate:  g.separate,
	}
	for n, p := range g.pieces {
		from := all[p.n].part
		part.Recovered = part.Recovered || from.Recovered
		part.Joined = append(part.Joined, from.Joined...) // it may be such a file itself
		part.Joined = append(part.Joined, document.Joined{
			Key:       from.Key,
			StartedAt: from.StartedAt,
			Duration:  from.Duration,
			Size:      all[p.n].file.size,
			Recovered: from.Recovered,
			Reason:    from.Reason,
			Packets:   all[p.n].packets(),
			Cut:       cuts[n],
		})
	}
	for kind, s := range w.strands {
		part.Tracks[s.index] = report(w, s, kind, g, all)
	}
	return part
}

// report says what the file has of one kind of tracks.
func report(w *weave, s *strand, kind track.Kind, g group, all []scanned) (r document.TrackReport) {
	gaps := s.gaps
	for _, p := range g.pieces {
		if p.to <= p.from {
			continue
		}
		from := all[p.n]
		for _, t := range from.part.Tracks {
			if t.Kind != string(kind) {
				continue
			}
			sums := r
			r = t
			r.DroppedFrames += sums.DroppedFrames
			r.PacketsReceived += sums.PacketsReceived
			r.PacketsLost += sums.PacketsLost
			r.GapsOmitted += sums.GapsOmitted
			r.FilledSilence += sums.FilledSilence
			gaps = append(gaps, moved(t.Gaps, from.start, p, w.origin)...)
		}
	}

	r.Kind = string(kind)
	r.Frames, r.KeyFrames = max(0, s.count.frames-int64(r.FilledSilence/silenceFrame.Seconds())), s.count.keys
	r.FilledSilence += s.count.silence.Seconds()
	r.Offset, r.Duration = s.first.Seconds(), (s.end - s.first).Seconds()
	if start := all[g.pieces[0].n].part.StartedAt; start != nil {
		at := start.Add(s.first).UTC()
		r.FirstFrameAt = &at
	}
	slices.SortStableFunc(gaps, func(a, b document.Gap) int { return int((a.Start - b.Start) * 1e6) })
	omitted := 0
	r.Gaps, omitted = document.FewestGaps(gaps)
	r.GapsOmitted += omitted
	return r
}

// moved are the gaps of a part where the file has them, as far as it has what is around them.
func moved(gaps []document.Gap, start time.Duration, p piece, origin time.Duration) (there []document.Gap) {
	for _, gap := range gaps {
		from := max(start+seconds(gap.Start), p.from)
		to := min(start+seconds(gap.Start+gap.Length), p.to)
		if to > from {
			gap.Start, gap.Length = (from - origin).Seconds(), (to - from).Seconds()
			there = append(there, gap)
		}
	}
	return there
}
