package metrics

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// alone is what a test makes: nobody else's metrics are among it, and it is among nobody else's.
func alone(t *testing.T) {
	t.Helper()
	before := all
	all = nil
	t.Cleanup(func() { all = before })
}

func TestAHistogramCountsEachBucketWithThoseBelowIt(t *testing.T) {
	alone(t)
	h := histogram("x_seconds", "x", []float64{1, 2, 5})
	for _, seconds := range []float64{0.5, 1, 1.5, 4, 60, -3} {
		h.Observe(time.Duration(seconds * float64(time.Second)))
	}
	now := h.Now()
	require.Equal(t, map[float64]uint64{1: 3, 2: 4, 5: 5}, now.Buckets, "a bound is in its own bucket")
	require.EqualValues(t, 6, now.Count)
	require.InDelta(t, 67, now.Sum, 1e-9, "clocks that differ make no time negative")
	require.False(t, math.IsNaN(now.Sum))
}

// CloudWatch takes 100 values in a line.
func TestRecentValuesAreTakenOnceAndNotTooMany(t *testing.T) {
	alone(t)
	h := histogram("x_seconds", "x", []float64{1})
	require.Empty(t, h.Recent())
	for range maxRecent + 50 {
		h.Observe(time.Second)
	}
	require.Len(t, h.Recent(), maxRecent)
	require.Empty(t, h.Recent())
	require.EqualValues(t, maxRecent+50, h.Now().Count)
}

// Whatever words come, there are no more series than were thought of.
func TestWordsThatNobodyHasThoughtOfMakeNoSeries(t *testing.T) {
	alone(t)
	f := family("x_total", "x", []string{"reason"}, each("known", "other"))
	f.With("known").Inc()
	f.With("the name of a room").Add(2)
	f.With("known", "and something else").Inc()
	require.Equal(t, []Sample{{[]string{"known"}, 1}, {[]string{"other"}, 3}}, All()[0].Samples())
}

func TestWhatNobodyKnowsYetIsNoMetric(t *testing.T) {
	alone(t)
	r := reading(Level, "x", "x")
	require.Empty(t, All()[0].Samples())
	r.From(func() float64 { return 7 })
	require.Equal(t, []Sample{{nil, 7}}, All()[0].Samples())
}

// It is done for every frame.
func BenchmarkCount(b *testing.B) {
	c := Frames.With("video")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Inc()
		}
	})
}
