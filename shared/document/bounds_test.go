package document

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// torn is a part of which two tracks have as many gaps as can be listed of one.
func torn(n int, gaps int) Part {
	began := time.Date(2026, 1, 2, 0, n, 0, 0, time.UTC)
	part := Part{
		Key:       fmt.Sprint("room/alice.part", n, ".webm"),
		State:     Completed,
		StartedAt: &began,
		Duration:  60,
		Tracks:    []TrackReport{{SID: "TR_1"}, {SID: "TR_2", GapsOmitted: 3}},
	}
	for k := range part.Tracks {
		for g := range gaps {
			gap := Gap{Kind: GapLoss, Start: 0.125 * float64(g), Length: 0.1 + float64(g%10)}
			part.Tracks[k].Gaps = append(part.Tracks[k].Gaps, gap)
		}
	}
	return part
}

// gaps counts those that are listed, and all.
func gaps(r Recording) (listed, all int) {
	for _, p := range r.Parts {
		for _, t := range p.Tracks {
			listed, all = listed+len(t.Gaps), all+len(t.Gaps)+t.GapsOmitted
		}
	}
	return listed, all
}

func TestADocumentOfTornPartsIsBounded(t *testing.T) {
	var parts []Part
	for n := range MaxParts {
		parts = append(parts, torn(n, MaxGaps))
	}
	r := Recording{ID: "RC_1"}.Running(parts)
	listed, all := gaps(r)
	require.LessOrEqual(t, listed, MaxAllGaps)
	require.Equal(t, MaxParts*(2*MaxGaps+3), all, "the others are counted")
	require.Len(t, r.Parts, MaxParts)
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.Less(t, len(body), 2<<20)
	require.Len(t, parts[0].Tracks[0].Gaps, MaxGaps, "what others have is left as it is")

	again, err := r.Saved(r)
	require.NoError(t, err)
	require.Equal(t, r.Parts, again.Parts)
	more := r.Amended([]Part{torn(MaxParts, MaxGaps)})
	listed, all = gaps(more)
	require.LessOrEqual(t, listed, MaxAllGaps)
	require.Equal(t, (MaxParts+1)*(2*MaxGaps+3), all)
}

func TestTheLongestGapsAreListed(t *testing.T) {
	var parts []Part
	for n := range 10 {
		parts = append(parts, torn(n, MaxGaps))
	}
	parts = append(parts, torn(10, 20))
	r := Recording{ID: "RC_1"}.Running(parts)
	long := 0
	for _, gap := range r.Parts[0].Tracks[0].Gaps {
		if gap.Length > 9 {
			long++
		}
	}
	require.Equal(t, MaxGaps/10, long, "all of the longest")
	require.Len(t, r.Parts[10].Tracks[0].Gaps, 20, "those of a track with few of them")
	starts := r.Parts[0].Tracks[0].Gaps
	for n := range starts[1:] {
		require.Less(t, starts[n].Start, starts[n+1].Start)
	}

	few := Recording{ID: "RC_1"}.Running(parts[:5])
	require.Equal(t, parts[:5], few.Parts, "what fits is left as it is")
}
