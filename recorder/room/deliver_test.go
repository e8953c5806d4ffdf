package room

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Frames come together, some times a second; what else happens comes at once, behind the frames before it.
func TestFramesComeTogetherAndEverythingElseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mic := publish(t, "audio/opus")
		f, _ := follower()
		go f.deliver()

		var came []time.Time
		for n := range 100 { // 2 s
			f.send(mic.frame(n, true, 100))
			synctest.Wait()
			for more := true; more; {
				select {
				case e := <-f.Events():
					require.EqualValues(t, len(came), e.(TrackFrame).Frame.Timestamp)
					came = append(came, time.Now())
					synctest.Wait()
				default:
					more = false
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		instants := map[time.Time]bool{}
		for _, at := range came {
			instants[at] = true
		}
		require.InDelta(t, 100, len(came), 6)
		require.LessOrEqual(t, len(instants), 21)

		waiting := 100 - len(came)
		f.send(mic.frame(100, true, 100))
		sent := time.Now()
		f.send(TrackEnded{mic})
		for range waiting + 1 {
			require.IsType(t, TrackFrame{}, <-f.Events())
		}
		require.Equal(t, TrackEnded{mic}, <-f.Events())
		require.Equal(t, sent, time.Now())

		f.Close()
		synctest.Wait()
	})
}
