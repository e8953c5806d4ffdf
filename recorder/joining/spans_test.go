package joining

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// of makes spans of times in seconds.
func of(times ...float64) (s spans) {
	for n := 0; n < len(times); n += 2 {
		s = append(s, span{seconds(times[n]), seconds(times[n+1])})
	}
	return s
}

func TestWhatIsNowhereElse(t *testing.T) {
	for _, c := range []struct {
		own, others spans
		lost        float64
	}{
		{of(0, 10), of(0, 10), 0},
		{of(0, 10), of(), 10},
		{of(0, 10), of(-5, 20), 0},
		{of(0, 10), of(0, 4, 7, 20), 3},
		{of(0, 10), of(2, 4), 6},
		{of(0, 10), of(20, 30), 10},
		{of(0, 1, 5, 9), of(0, 6), 3},
		{of(), of(), 0},
	} {
		require.Equal(t, seconds(c.lost), c.own.without(c.others), "%v without %v", c.own, c.others)
	}
}

func TestFramesThatAreCloseTogetherAreOneSpan(t *testing.T) {
	var s spans
	for _, at := range []float64{1, 1.5, 2.4, 2.3, 5} {
		s.add(seconds(at), seconds(at)+20*time.Millisecond)
	}
	require.Equal(t, of(1, 2.42, 5, 5.02), s)
	for n := range 2 * mostSpans {
		s.add(seconds(float64(10+2*n)), seconds(float64(10+2*n)))
	}
	require.Len(t, s, mostSpans)
}

// A recorder that was away from the room for a while has silence there. What the other one has instead is not dropped.
func TestWhatOneRecorderMissedKeepsPartsApart(t *testing.T) {
	codec, ok := track.CodecOf("audio/opus")
	require.True(t, ok)
	for away, lost := range map[time.Duration]bool{0: false, 500 * time.Millisecond: false, 3 * time.Second: true} {
		w := newWeave(nothing{}, 0, []mux.Stream{{Codec: codec, Config: track.Config{Channels: 1}}})
		for n, p := range []piece{{0, 0, 20 * time.Second}, {1, 8 * time.Second, 8 * time.Second}} {
			s := &scanned{}
			w.begin(s, p)
			from, to := time.Duration(n)*8*time.Second, time.Duration(20-5*n)*time.Second
			for at := from; at < to; at += silenceFrame {
				data := []byte{31 << 3, 1, 2}
				if n == 0 && at >= 9*time.Second && at < 9*time.Second+away {
					data = track.Silence(1, silenceFrame)
				}
				_, err := w.write(track.Audio, mux.Packet{At: at, Length: silenceFrame, Key: true, Data: data})
				require.NoError(t, err)
			}
		}
		if lost {
			require.ErrorIs(t, w.covered(), errCounted, "%s", away)
		} else {
			require.NoError(t, w.covered(), "%s", away)
		}
	}
}

// nothing is a file that takes everything.
type nothing struct{}

func (nothing) Write(int, time.Duration, bool, []byte) error { return nil }
func (nothing) Close(context.Context) error                  { return nil }
func (nothing) Complaints() string                           { return "" }
