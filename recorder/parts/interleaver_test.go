package parts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func popAll(i *interleaver, now time.Time, all bool) (order []string) {
	for {
		q, ok := i.pop(now, all)
		if !ok {
			return order
		}
		order = append(order, q.track.SID()+q.time.Format("05.000"))
	}
}

func TestFramesLeaveInTheOrderOfTheirTimes(t *testing.T) {
	i := &interleaver{}
	a, v := synced("a"), synced("v")
	i.begin(a, day)
	i.begin(v, day)
	i.push(v, frameAt(10), day)
	require.Empty(t, popAll(i, day, false), "audio before it may still come")
	i.push(a, frameAt(0), day)
	i.push(a, frameAt(20), day)
	require.Equal(t, []string{"a00.000", "v00.010"}, popAll(i, day, false))
	i.push(v, frameAt(43), day)
	require.Equal(t, []string{"a00.020"}, popAll(i, day, false))
}

func TestASilentTrackHoldsOthersUpForOnlyAMoment(t *testing.T) {
	i := &interleaver{}
	a, v := synced("a"), synced("v")
	i.begin(a, day)
	i.begin(v, day)
	i.push(v, frameAt(10), day)
	require.Empty(t, popAll(i, day.Add(patience-time.Millisecond), false))
	require.Len(t, popAll(i, day.Add(patience), false), 1)
	i.push(v, frameAt(40), day)
	i.end(a)
	require.Len(t, popAll(i, day, false), 1, "a track that has ended holds up nobody")
}

func TestFirstFramesWaitForTheSenderReportAndThenHaveItsTimes(t *testing.T) {
	i := &interleaver{}
	a, v := synced("a"), &fakeTrack{sid: "v", shift: -50 * time.Millisecond}
	i.begin(a, day)
	i.begin(v, day)
	i.push(v, frameAt(60), day)
	i.push(a, frameAt(20), day)
	require.Empty(t, popAll(i, day.Add(3*time.Second), false))
	v.synced = true
	require.Equal(t, []string{"v00.010"}, popAll(i, day, false))
}

func TestFramesAreNotKeptForAReportThatNeverComes(t *testing.T) {
	i := &interleaver{}
	v := &fakeTrack{sid: "v"}
	i.begin(v, day)
	i.push(v, frameAt(60), day)
	require.Empty(t, popAll(i, day.Add(syncPatience-time.Millisecond), false))
	require.Len(t, popAll(i, day.Add(syncPatience), false), 1)
	i.push(v, frameAt(93), day.Add(syncPatience))
	require.Len(t, popAll(i, day.Add(syncPatience), false), 1, "only the first frames wait")
}

func TestEverythingLeavesAtTheEnd(t *testing.T) {
	i := &interleaver{}
	a, v := &fakeTrack{sid: "a"}, &fakeTrack{sid: "v"}
	i.begin(a, day)
	i.begin(v, day)
	i.push(v, frameAt(10), day)
	i.push(v, frameAt(40), day)
	i.push(a, frameAt(20), day)
	require.Equal(t, []string{"v00.010", "a00.020", "v00.040"}, popAll(i, day, true))
	require.Equal(t, 2, i.live())
}

// A camera that is on its way belongs in the same file, even if its first report takes its time.
func TestTracksAreExpectedUntilTheirFirstFrameHasLeft(t *testing.T) {
	i := &interleaver{}
	v := &fakeTrack{sid: "v"}
	i.begin(v, day)
	require.True(t, i.expecting(day.Add(time.Second)))
	require.False(t, i.expecting(day.Add(time.Minute)), "a track that sends nothing is not waited for")
	i.push(v, frameAt(10), day)
	require.True(t, i.expecting(day.Add(5*time.Second)), "waits for its report")
	v.synced = true
	popAll(i, day, false)
	require.False(t, i.expecting(day))
}
