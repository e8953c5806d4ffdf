package document

import (
	"cmp"
	"slices"
	"sort"
)

// thin sees that parts list no more than [MaxAllGaps] gaps together. The parts are the caller's own, what they point to
// is not.
func thin(parts []Part) {
	if listed(parts, MaxGaps) <= MaxAllGaps {
		return
	}
	limit := MaxGaps - sort.Search(MaxGaps, func(less int) bool { return listed(parts, MaxGaps-less) <= MaxAllGaps })

	for n := range parts {
		parts[n].Tracks = slices.Clone(parts[n].Tracks)
		for k := range parts[n].Tracks {
			t := &parts[n].Tracks[k]
			if omitted := len(t.Gaps) - limit; omitted > 0 {
				t.Gaps, t.GapsOmitted = longest(t.Gaps, limit), t.GapsOmitted+omitted
			}
		}
	}
}

// listed is how many gaps there are with so many of each track at most.
func listed(parts []Part, limit int) (n int) {
	for _, p := range parts {
		for _, t := range p.Tracks {
			n += min(len(t.Gaps), limit)
		}
	}
	return n
}

// longest returns so many gaps, in order of time.
func longest(gaps []Gap, most int) []Gap {
	gaps = slices.Clone(gaps)
	slices.SortStableFunc(gaps, func(a, b Gap) int { return cmp.Compare(b.Length, a.Length) })
	gaps = slices.Clone(gaps[:most])
	slices.SortStableFunc(gaps, func(a, b Gap) int { return cmp.Compare(a.Start, b.Start) })
	return gaps
}
