package fidelity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSlope(t *testing.T) {
	var times, straight, noisy []time.Duration
	for n := range 120 {
		times = append(times, time.Duration(n)*time.Second)
		straight = append(straight, 10*time.Millisecond+time.Duration(n)*time.Millisecond/20) // 3 ms a minute
		noisy = append(noisy, time.Duration(n%2)*time.Millisecond)
	}
	require.InDelta(t, 3e6, slope(times, straight), 1)
	require.InDelta(t, 0, slope(times, noisy), 2e4)
	require.Zero(t, slope(times[:1], straight[:1]))
	require.Zero(t, slope(nil, nil))
}

// What the publisher itself sent late is not the recorder's: that much more is allowed, and no more.
func TestSoundThatStoodStillIsThePublishers(t *testing.T) {
	limits := Limits{Offset: 25 * time.Millisecond, Gap: 100 * time.Millisecond}
	late := Result{End: -55 * time.Millisecond}
	require.Len(t, limits.Check(late), 1)
	late.Stood = 48 * time.Millisecond
	require.Empty(t, limits.Check(late))
	late.End = -75 * time.Millisecond
	require.Len(t, limits.Check(late), 1)
}
