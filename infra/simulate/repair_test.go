package simulate

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
)

// What the simulator says of a torn file must be what the real repair makes of one (see recorder/mux): everything
// before and behind the zeros, and nothing that they have cut in two.
func TestARepairOfATornFileKeepsWhatIsBeforeAndBehind(t *testing.T) {
	body := header(0)
	var ends []int
	for n := range 200 {
		at := time.Duration(n) * frameInterval
		data := stamp{"person1", "TR_camera", int64(n), time.UnixMilli(int64(n))}.payload()
		if n%5 == 0 {
			data = track.Silence(1, 20*time.Millisecond)
		}
		body = append(body, record{n % 2, true, at, data}.encode()...)
		ends = append(ends, len(body))
	}
	whole, err := readMedia(append(body, trailer))
	require.NoError(t, err)

	dice := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		start := headerSize + longestRecord + dice.IntN(len(body)/2)
		end := min(len(body)-longestRecord, start+2*longestRecord+dice.IntN(len(body)/2))
		torn := append(bytes.Clone(body), trailer)
		clear(torn[start:end])
		var out bytes.Buffer
		out.Write(header(0))
		made, err := copyRecords(iotest.HalfReader(bytes.NewReader(torn)), &out)
		require.NoError(t, err)
		require.True(t, made.Torn)
		require.Equal(t, whole.length(), made.Length)

		var want []record
		for n, r := range whole.records {
			if ends[n] <= start || ends[n]-len(r.encode()) >= end {
				want = append(want, r)
			}
		}
		got, err := readMedia(append(out.Bytes(), trailer))
		require.NoError(t, err)
		require.Equal(t, want, got.records, "torn from %d to %d", start, end)
	}
}
