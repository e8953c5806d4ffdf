package parts

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

func TestACameraThatComesAMomentLaterIsInTheSameFile(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(3*time.Second)
		s.play(8*time.Second, mic, cam)
		require.True(t, s.Open())
		require.Equal(t, 2, s.Live())

		parts := s.finish()
		s.requireParts(parts, [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		s.requireAll(cam)
		require.Equal(t, 3*time.Second, s.from(cam, 0)[0])
		require.Equal(t, "directory/a/b.webm", parts[0].Key)
		require.Equal(t, "/scratch/part1.webm", s.made.files[0].path)
		require.EqualValues(t, 1000, parts[0].Size)
		require.InDelta(t, 8, parts[0].Duration, 0.05)
		require.Equal(t, day, *parts[0].StartedAt)
		require.Equal(t, "TR_camera", parts[0].Tracks[0].SID)
		require.Equal(t, "source of TR_microphone", parts[0].Tracks[1].Source)
		require.False(t, s.Open())
		require.Zero(t, s.Live())
	})
}

func TestAPersonWithoutACameraIsNotWaitedForLong(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic := microphone()
		s.play(gather, mic)
		require.False(t, s.Open())
		s.play(gather+500*ms, mic)
		require.True(t, s.Open())

		s.requireParts(s.finish(), [2]string{"opus", ""})
		s.requireAll(mic)
	})
}

func TestARecordingOfOneKindBeginsAtOnce(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.play(20*ms, microphone())
		require.True(t, s.Open())
	})
}

func TestACameraThatComesLaterBeginsAFileAndTheSoundGoesOn(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(8*time.Second)
		s.play(10*time.Second, mic, cam)

		parts := s.finish()
		s.requireParts(parts, [2]string{"opus", "video began"}, [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		s.requireAll(cam)
		first := s.made.files[1].frames[0]
		require.Equal(t, "TR_camera", first.data, "players show it at once")
		require.True(t, first.key)
		require.Zero(t, first.at)
		require.Equal(t, "directory/a/b.part2.webm", parts[1].Key)
	})
}

func TestAMicrophoneThatComesLaterBeginsAFileAtTheNextKeyFrame(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.from = 8 * time.Second
		s.play(10*time.Second, cam, mic)

		s.requireParts(s.finish(), [2]string{"vp8", "audio began"}, [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		s.requireAll(cam)
		require.True(t, s.made.files[1].of(track.Video)[0].key)
		require.Equal(t, 1, cam.requests)
	})
}

// The sound is worth more than pictures that nobody sends a key frame for.
func TestAMicrophoneDoesNotWaitForeverForAKeyFrame(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.from, cam.deaf = 8*time.Second, true
		s.play(mic.from+lateAudio, cam, mic)
		require.Len(t, s.made.files, 1)
		s.play(15*time.Second, cam, mic)
		require.Len(t, s.made.files, 2)
		require.InDelta(t, 5, cam.requests, 1, "a request can get lost: it is asked for again each second")

		cam.deaf = false
		s.play(17*time.Second, cam, mic)
		s.requireParts(s.finish(),
			[2]string{"vp8", "audio began"}, [2]string{"opus", "video began"}, [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		require.True(t, s.made.files[2].of(track.Video)[0].key)
	})
}

func TestAnotherCodecBeginsAFile(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		backup := newTrack("TR_backup", "video/h264")
		backup.from, backup.config = 3*time.Second, cam.config
		s.play(5*time.Second, cam, mic, backup)

		parts := s.finish()
		s.requireParts(parts, [2]string{"vp8+opus", "the video format changed"}, [2]string{"h264+opus", ""})
		s.requireAll(mic)
		s.requireAll(backup)
		require.Equal(t, "mp4", parts[1].Container)
		require.Equal(t, "directory/a/b.part2.mp4", parts[1].Key)
	})
}

func TestSoundThatBecomesStereoBeginsAFile(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		mic := microphone()
		s.play(time.Second, mic)
		mic.config.Channels = 2
		s.play(2*time.Second, mic)
		s.requireParts(s.finish(), [2]string{"opus", "the audio format changed"}, [2]string{"opus", ""})
		s.requireAll(mic)
	})
}

// A browser's first packets are mono when the rest is stereo: seen as four files within a second.
func TestMonoPacketsBeforeStereoOnesAreInOneFile(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic := microphone()
		s.play(time.Second, mic)
		mic.config.Channels = 2
		s.play(7*time.Second, mic)
		s.requireParts(s.finish(), [2]string{"opus", ""})
		s.requireAll(mic)
	})
}

// After a reconnect of the participant the old track may go on for a while.
func TestANewerTrackTakesOverForGood(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		cam, old, newer := camera(0), microphone(), newTrack("TR_newer", "audio/opus")
		newer.from, newer.config = 2*time.Second+10*ms, old.config
		s.play(4*time.Second, cam, old, newer)

		s.requireParts(s.finish(), [2]string{"vp8+opus", ""})
		s.requireAll(newer)
		times := s.from(old, 0)
		require.Equal(t, 2*time.Second, times[len(times)-1])
	})
}

// Two cameras before the first file begins: the first one's codec is not what the file is for.
func TestAFileIsForTheTrackThatFeedsIt(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		first, second := camera(0), newTrack("TR_second", "video/h264")
		second.from, second.config = time.Second, first.config
		s.play(7*time.Second, first, second)
		s.requireParts(s.finish(), [2]string{"h264", ""})
		s.requireAll(second)
	})
}

func TestAFileThatBreaksIsFollowedByAnotherAtAKeyFrame(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		s.play(2*time.Second, cam, mic)
		s.made.files[0].broken = errors.New("exit status 1")
		s.play(4*time.Second, cam, mic)

		require.Equal(t, 1, s.Failures())
		s.requireParts(s.finish(), [2]string{"vp8+opus", "ffmpeg failed: exit status 1"}, [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		require.True(t, s.made.files[1].of(track.Video)[0].key)
		require.NotZero(t, cam.requests)
	})
}

func TestAFileThatCannotBeOpenedIsAFailedPart(t *testing.T) {
	for name, cannot := range map[string]func(*stage, error){
		"no process":   func(s *stage, err error) { s.faults.open = err },
		"no directory": func(s *stage, err error) { s.faults.directory = err },
	} {
		t.Run(name, func(t *testing.T) {
			onStage(t, 1, func(t *testing.T, s *stage) {
				cam := camera(0)
				cannot(s, errors.New("no space left"))
				s.play(40*ms, cam)
				require.Equal(t, 1, s.Failures())
				require.False(t, s.Open())

				cannot(s, nil)
				s.play(2*time.Second, cam)
				parts := s.finish()
				require.Len(t, parts, 2)
				require.Equal(t, document.Failed, parts[0].State)
				require.Equal(t, "no space left", parts[0].Reason)
				require.Equal(t, "directory/a/b.webm", parts[0].Key)
				require.Equal(t, document.Completed, parts[1].State)
				require.Equal(t, "directory/a/b.part2.webm", parts[1].Key)
				require.Len(t, s.made.uploads, 1)
				require.True(t, s.made.files[0].frames[0].key, "it was asked for a key frame")
			})
		})
	}
}

func TestNothingThatWaitsIsLostAtTheEnd(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.synced = false // waits for its sender report
		s.play(2*time.Second, cam, mic)
		require.Empty(t, s.made.files)

		s.requireParts(s.finish(), [2]string{"vp8+opus", ""})
		s.requireAll(mic)
		s.requireAll(cam)
	})
}

func TestSoundThatWaitsForAKeyFrameIsNotLostAtTheEnd(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		mic, cam := microphone(), camera(0)
		mic.from, cam.deaf = 8*time.Second, true
		s.play(9*time.Second, cam, mic)
		s.requireParts(s.finish(), [2]string{"vp8", "audio began"}, [2]string{"opus", ""})
		s.requireAll(mic)
	})
}

func TestAnotherSessionGoesOnWithNewParts(t *testing.T) {
	onStage(t, 2, func(t *testing.T, s *stage) {
		s.play(time.Second, microphone(), camera(0))
		s.Close(day.Add(s.clock))

		mic, cam := microphone(), camera(10*time.Second)
		mic.from = 10 * time.Second
		s.play(12*time.Second, mic, cam)
		parts := s.finish()
		s.requireParts(parts, [2]string{"vp8+opus", ""}, [2]string{"vp8+opus", ""})
		require.Equal(t, day.Add(10*time.Second), *parts[1].StartedAt)
	})
}

func TestFramesOfATrackThatHasNotBegunAreDropped(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		mic := microphone()
		mic.begun = true
		s.play(time.Second, mic)
		require.Empty(t, s.finish())
	})
}

func TestMutesAndEndsAreTakenNoteOf(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		mic := microphone()
		s.play(time.Second, mic)
		s.Mute(mic.sid, true, day.Add(s.clock))
		s.play(3 * time.Second)
		s.Mute(mic.sid, false, day.Add(s.clock))
		s.play(4*time.Second, mic)
		s.End(mic)
		require.Zero(t, s.Live())

		gaps := s.finish()[0].Tracks[0].Gaps
		require.Len(t, gaps, 1)
		require.Equal(t, document.GapMuted, gaps[0].Kind)
		require.InDelta(t, 2, gaps[0].Length, 0.021)
	})
}

func TestItIsSaidEveryFewSecondsHowFarAPartHasCome(t *testing.T) {
	onStage(t, 1, func(t *testing.T, s *stage) {
		s.Name("a/b", 1)
		s.play(21*time.Second, microphone())
		s.finish()

		var lengths []int
		told := s.toldOf(0)
		for _, part := range told {
			lengths = append(lengths, int(part.Duration))
		}
		require.Equal(t, []int{0, 0, 5, 10, 15, 20, 21, 21}, lengths, "begun, come on, ended, stored")
		require.Equal(t, document.Active, told[0].State)
		require.Equal(t, "directory/a/b.ogg", told[0].Key)
		require.Equal(t, document.Completed, told[len(told)-1].State)
	})
}
