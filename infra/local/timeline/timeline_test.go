package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at makes spans of pairs of seconds.
func at(pairs ...float64) (spans []Span) {
	for n := 0; n < len(pairs); n += 2 {
		spans = append(spans, Span{From: epoch.Add(seconds(pairs[n])), To: epoch.Add(seconds(pairs[n+1]))})
	}
	return spans
}

func TestWhatIsMissingIsFoundWhereverItLies(t *testing.T) {
	for name, c := range map[string]struct{ sent, recorded, missing []Span }{
		"nothing":                       {at(0, 10), at(0, 10), nil},
		"everything":                    {at(0, 10), nil, at(0, 10)},
		"the beginning":                 {at(0, 10), at(1, 10), at(0, 1)},
		"the end":                       {at(0, 10), at(0, 9), at(9, 10)},
		"a gap between parts":           {at(0, 10), at(0, 4, 6, 10), at(4, 6)},
		"parts that overlap":            {at(0, 10), at(0, 6, 4, 10), nil},
		"parts in the wrong order":      {at(0, 10), at(6, 10, 0, 4), at(4, 6)},
		"a pause of the publisher":      {at(0, 4, 6, 10), at(0, 4, 6, 10), nil},
		"recorded before it was sent":   {at(2, 4), at(0, 3), at(3, 4)},
		"a gap that spans two sessions": {at(0, 4, 6, 10), at(0, 3, 7, 10), at(3, 4, 6, 7)},
	} {
		require.Equal(t, c.missing, Without(c.sent, c.recorded), name)
	}
}

func TestFramesThatFollowEachOtherAreOneSpan(t *testing.T) {
	var times []time.Time
	for n := range 100 {
		if n < 40 || n >= 50 {
			times = append(times, epoch.Add(time.Duration(n)*20*time.Millisecond))
		}
	}

	require.Equal(t, at(0, 0.8, 1, 2), Frames(times, 20*time.Millisecond))
	require.Nil(t, Frames(nil, time.Second))
}

func TestTracksBesideEachOtherAreOneSpan(t *testing.T) {
	require.Equal(t, at(0, 7.05, 9, 10), Join(at(5, 7.05, 9, 10, 0, 4.95), 100*time.Millisecond))
}

func TestFromAndUntilCutSpans(t *testing.T) {
	require.Equal(t, at(3, 4, 6, 10), From(at(0, 4, 6, 10), epoch.Add(3*time.Second)))
	require.Equal(t, at(0, 3), Until(at(0, 4, 6, 10), epoch.Add(3*time.Second)))
}

// What a part's gaps say is not in its file, and what was not stored is in none.
func TestGapsWithinAPartAreNotRecorded(t *testing.T) {
	r := document.Recording{Parts: []document.Part{
		{State: document.Failed, StartedAt: &epoch, Duration: 100, Tracks: []document.TrackReport{
			{Kind: "audio", Duration: 100},
		}},
		{State: document.Completed, StartedAt: &epoch, Duration: 10, Tracks: []document.TrackReport{
			{Kind: "video", Offset: 0, Duration: 10},
			{Kind: "audio", Offset: 1, Duration: 9, Gaps: []document.Gap{{Start: 4, Length: 3}}},
		}},
	}}

	require.Equal(t, at(1, 4, 7, 10), Recorded(r, "audio"))
	require.Equal(t, at(0, 10), Recorded(r, "video"))
}

// The document may know nothing of the tracks of a part that another recorder has made a file of.
func TestRecoveredPartsAreRecordedAsAWhole(t *testing.T) {
	r := document.Recording{Parts: []document.Part{
		{State: document.Completed, StartedAt: &epoch, Duration: 10, Recovered: true},
	}}

	require.Equal(t, at(0, 10), Recorded(r, "audio"))
}
