package worker

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/command"
)

func TestHowLongARecorderWaitsBeforeItLooks(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		used, elsewhere int
		want            time.Duration
	}{
		"the only one":               {0, 0, 0},
		"others have less than none": {3, -2, 0}, // counted at different times
		"empty, beside others":       {0, 1, longestWait},
		"half full":                  {20, 1, longestWait / 2},
		"mostly full":                {24, 1, 0},
		"full":                       {40, 1, 0},
	} {
		p := Pace{Most: 40}
		require.Equal(t, c.want, p.Wait(now, 40-c.used, c.elsewhere), name)
	}
	require.LessOrEqual(t, 2*longestWait, time.Second, "a start is never later, even if one look has missed it")
}

func TestWhoeverFindsAStartThatNobodyTookWaitsNoMore(t *testing.T) {
	now := time.Now()
	p := Pace{Most: 40}
	p.Found(now, 0, longestWait)
	p.Found(now, longestWait/2-1, longestWait)
	require.NotZero(t, p.Wait(now, 40, 1), "fuller ones may be about to take it")
	p.Found(now, time.Hour, 0)
	require.NotZero(t, p.Wait(now, 40, 1), "it was there before this recorder asked")
	p.Found(now, longestWait/2, longestWait)
	require.Zero(t, p.Wait(now, 40, 1))
	require.Zero(t, p.Wait(now.Add(leading-1), 40, 1))
	require.Equal(t, longestWait, p.Wait(now.Add(leading), 40, 1), "somebody else may be fuller by now")
}

// A fuller recorder gets what has only just come. What nobody took then is taken by whoever finds it.
func TestWhatHasJustComeIsPutBackOnce(t *testing.T) {
	p := Pace{Most: 40}
	require.True(t, p.PutsBack(fresh-1, longestWait, 1))
	require.False(t, p.PutsBack(fresh, longestWait, 1))
	require.False(t, p.PutsBack(0, longestWait, 2), "it has been put back, or its recorder has died")
	require.False(t, p.PutsBack(0, 0, 1), "this recorder waits for starts")

	h := idleHarness(t, 40)
	asking := polling{worker: h.Worker, pace: p}
	h.send(t, "room")
	received, err := h.Starts.Look(t.Context(), 1, visibility)
	require.NoError(t, err)
	require.Len(t, received, 1)
	require.Less(t, received[0].Lay, 10*time.Second)
	received[0].Lay = 0
	require.Empty(t, asking.putBack(t.Context(), slices.Clone(received), longestWait))
	require.Equal(t, [2]string{"1", "0"}, h.counts(t))

	require.NoError(t, h.Starts.Delete(t.Context(), received[0]))
	require.Len(t, asking.putBack(t.Context(), slices.Clone(received), longestWait), 1, "it could not be put back")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Len(t, asking.putBack(ended, slices.Clone(received), longestWait), 1, "that is not known")
}

// Two workers on one queue: what comes gathers on the one that has much, and the other one takes what that leaves.
func TestStartsGatherOnFullerRecorders(t *testing.T) {
	h := idleHarness(t, 30)
	begun := make(chan string, 100)
	run := func(name string) (stop func()) {
		w := &Worker{
			Starts:        h.Starts,
			Controls:      h.Controls,
			MaxRecordings: h.MaxRecordings,
			Hold:          h.Hold,
			Ready:         h.Ready,
			Doubt:         h.Doubt,
			Log:           h.Log,
			Start: func(_ context.Context, _ command.Command, b *Baton) Ending {
				begun <- name
				<-b.Relinquished()
				return Ending{Outcome: Done}
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(ctx, context.Background())
		}()
		return func() { cancel(); <-ended }
	}

	defer run("fuller")()
	for range 21 {
		h.send(t, "room")
		require.Equal(t, "fuller", <-begun)
	}
	defer run("empty")()
	began := map[string]int{}
	for range 9 {
		h.send(t, "room")
		began[<-begun]++
	}
	require.GreaterOrEqual(t, began["fuller"], 8, "one may have come just when the other one looked")
	for range 3 {
		h.send(t, "room")
		began[<-begun]++
	}
	require.GreaterOrEqual(t, began["empty"], 3, "the other one is full")
}
