package parts

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// requireBounded checks what a recording holds.
func (s *stage) requireBounded() {
	s.t.Helper()
	require.LessOrEqual(s.t, s.frames.held.frames+s.waiting.load.frames, maxHeldFrames)
	require.LessOrEqual(s.t, s.frames.held.bytes+s.waiting.load.bytes, maxHeldBytes)
	require.LessOrEqual(s.t, len(s.frames.lines), maxLines)
	require.LessOrEqual(s.t, len(s.known.mutes), maxMuted)
	require.LessOrEqual(s.t, len(s.known.counted), 4)

	now := day.Add(s.clock)
	for _, l := range s.frames.lines {
		if len(l.frames) > 0 {
			require.LessOrEqual(s.t, now.Sub(l.frames[0].at), longestWait+250*ms)
		}
	}
	if len(s.waiting.frames) > 0 {
		require.LessOrEqual(s.t, now.Sub(s.waiting.since), longestWait+250*ms)
	}
}

// written counts the frames in all files, but for silence.
func (s *stage) written() (n int) {
	for _, f := range s.made.files {
		for _, w := range f.frames {
			if len(w.data) > 3 {
				n++
			}
		}
	}
	return n
}

// Each new track waits for its first report, and all others with it: an hour of that was nothing in a file, and all of
// it in memory.
func TestTracksThatArePublishedAnewAgainAndAgainAreWritten(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		pushed, tracks := 0, 0
		for ; s.clock < time.Hour; tracks++ {
			mic, cam := microphone(), camera(s.clock)
			mic.sid, cam.sid = fmt.Sprintf("TR_mic%d", tracks), fmt.Sprintf("TR_cam%d", tracks)
			mic.from, mic.synced, cam.synced = s.clock, false, false

			s.play(s.clock+3*time.Second, mic, cam)
			s.Mute(mic.sid, true, day.Add(s.clock))
			s.End(mic)
			s.End(cam)
			pushed += s.pushed[mic.sid] + s.pushed[cam.sid]
			s.requireBounded()
			require.Less(t, s.frames.held.frames, 1000)
			require.Less(t, len(s.frames.lines), 12)
		}

		s.finish()
		require.Equal(t, 1200, tracks)
		require.Len(t, s.made.files, 1)
		require.Greater(t, s.written(), pushed*99/100)
	})
}

func TestAThousandTracksAtOnceStayWithinTheBounds(t *testing.T) {
	for name, synced := range map[string]bool{"with reports": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 2, func(t *testing.T, s *stage) {
				var all []*fakeTrack
				for n := range 500 {
					mic, cam := microphone(), camera(0)
					mic.sid, cam.sid = fmt.Sprintf("TR_mic%d", n), fmt.Sprintf("TR_cam%d", n)
					mic.synced, cam.synced = synced, synced
					all = append(all, mic, cam)
				}
				for s.clock < 15*time.Second {
					s.play(s.clock+time.Second, all...)
					s.requireBounded()
					require.LessOrEqual(t, s.Live(), 2*maxLive)
				}
				s.finish()
				s.requireAll(all[999])
				require.InDelta(t, s.pushed[all[998].sid], len(s.from(all[998], 0)), 1, "one place was taken before")
			})
		})
	}
}

// A track that sends frames as large as can be, while another one makes everything wait for its report.
func TestLargeFramesDoNotWaitForEver(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.synced = false
		s.play(100*ms, mic, cam)
		for n := range 12 {
			at := s.clock + time.Duration(n)*ms
			frame := track.Frame{Data: make([]byte, 8<<20), Key: true, Timestamp: at.Milliseconds(), Config: cam.config}
			s.Push(cam, frame, day.Add(at))
			s.requireBounded()
		}
		require.True(t, s.Open())
	})
}

// The part has no stream for it, and no key frame comes, so that it would wait by a clock that stands still.
func TestSoundWhoseTimeStandsStillDoesNotWaitForEver(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		cam.deaf = true
		s.play(8*time.Second, cam)
		s.Begin(mic, day.Add(s.clock))
		for ; s.clock < 30*time.Second; s.clock += 100 * ms {
			s.Push(mic, mic.frame(8*time.Second), day.Add(s.clock))
			s.requireBounded()
		}
		require.Len(t, s.made.files, 2)
	})
}

// A track that was counted before is counted from there on, and what is over is forgotten.
func TestWhatTracksHaveCountedIsForgottenWhenTheyAreOver(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		for n := range 20 {
			mic := microphone()
			mic.sid, mic.from = fmt.Sprintf("TR_mic%d", n), s.clock
			mic.stats = track.Stats{PacketsReceived: 10}
			s.play(s.clock+6*time.Second, mic)
			s.End(mic)
			require.LessOrEqual(t, len(s.known.counted), 1)
		}
		parts := s.finish()
		require.Len(t, parts, 1)
		require.EqualValues(t, 200, parts[0].Tracks[0].PacketsReceived)
	})
}

func TestMutesAreBounded(t *testing.T) {
	m := mutes{}
	for n := range 1000 {
		m.set(fmt.Sprint("TR_", n), true, day.Add(time.Duration(n)*time.Second))
		require.LessOrEqual(t, len(m), maxMuted)
	}
	require.True(t, m.between("TR_999", day.Add(time.Hour), day.Add(time.Hour)), "the newest are kept")

	m = mutes{}
	for n := range 1000 {
		m.set("TR_one", true, day.Add(time.Duration(2*n)*time.Second))
		m.set("TR_one", false, day.Add(time.Duration(2*n+1)*time.Second))
		require.LessOrEqual(t, len(m["TR_one"]), maxMutes)
	}
	require.True(t, m.between("TR_one", day, day.Add(time.Second)))
	require.False(t, m.between("TR_one", day.Add(time.Hour), day.Add(time.Hour)))
	require.Empty(t, m)
}

// alternate plays tracks one after the other, each of another codec than the one before.
func (s *stage) alternate(length time.Duration, times int) {
	for n := range times {
		cam := newTrack(fmt.Sprintf("TR_cam%d", n), []string{"video/vp8", "video/h264"}[n%2])
		cam.from, cam.config = s.clock, track.Config{Width: 640, Height: 360}
		s.play(s.clock+length, cam)
		s.End(cam)
	}
}

func TestCodecsThatAlternateFastEndInABoundedNumberOfParts(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.alternate(2*time.Second, maxBegun)
		require.False(t, s.TooManyParts())
		s.alternate(2*time.Second, 200)
		require.True(t, s.TooManyParts())
		s.requireBounded()

		parts := s.finish()
		require.Len(t, parts, maxBegun, "none begins any more")
		for _, part := range parts {
			require.Equal(t, document.Completed, part.State, "what is there is kept")
		}
	})
}

func TestCodecsThatAlternateSlowlyAreRecorded(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.alternate(5100*ms, 100)
		require.False(t, s.TooManyParts())
		require.Len(t, s.finish(), 100)
	})
}
