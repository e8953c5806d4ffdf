package parts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
)

// Nothing that waits is thrown away: it leaves earlier than it would.
func TestFramesLeaveEarlierWhenAllRecordingsHoldTooMuch(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.synced, cam.synced = false, false // everything waits for reports
		s.play(time.Second, mic, cam)
		for n := range 4 {
			at := s.clock + time.Duration(n)*ms
			frame := cam.frame(at)
			frame.Data, frame.Key = make([]byte, track.FairShare), true
			s.Push(cam, frame, day.Add(at))
		}
		require.Greater(t, s.frames.held.bytes, 4*track.FairShare)

		others := track.NewShare()
		others.Set(1 << 30)
		defer others.Set(0)
		s.Advance(day.Add(s.clock + 5*ms))
		require.LessOrEqual(t, s.frames.held.bytes+s.waiting.load.bytes, track.FairShare)
		s.finish()
		s.requireAll(mic)
		require.Len(t, s.made.files, 1)
		require.Len(t, s.made.files[0].of(track.Video), s.pushed[cam.sid]+4)
	})
}

// Whoever has left is waited for, perhaps for long: others may have what was kept of them.
func TestNothingIsHeldWhenAllIsPlaced(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		cam := camera(0)
		s.play(time.Second, cam) // no part has begun yet
		for n := range 4 {
			at := s.clock + time.Duration(n)*ms
			frame := cam.frame(at)
			frame.Data, frame.Key = make([]byte, track.FairShare), true
			s.Push(cam, frame, day.Add(at))
		}
		s.Close(day.Add(s.clock + 5*ms))
		require.Zero(t, s.frames.held.bytes+s.waiting.load.bytes)

		others := track.NewShare()
		others.Set(1 << 30)
		defer others.Set(0)
		require.False(t, s.share.TooMuch())
	})
}
