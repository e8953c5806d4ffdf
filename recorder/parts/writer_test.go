package parts

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

// scene is a writer with a file of one picture stream and one sound stream, and a track for each.
type scene struct {
	*writer
	t      *testing.T
	file   *fakeFile
	tracks map[track.Kind]*fakeTrack
}

func newScene(t *testing.T) *scene {
	camera, microphone := newTrack("TR_video", "video/vp8"), newTrack("TR_audio", "audio/opus")
	file := &fakeFile{}
	streams := []mux.Stream{
		{Codec: camera.codec},
		{Codec: microphone.codec, Config: track.Config{Channels: 2}},
	}
	known := &known{mutes: mutes{}, counted: map[Track]track.Stats{}}

	return &scene{
		writer: newWriter(file, day, streams, known),
		t:      t,
		file:   file,
		tracks: map[track.Kind]*fakeTrack{track.Video: camera, track.Audio: microphone},
	}
}

// frame writes a frame of one track, which arrives when it was captured.
func (s *scene) frame(kind track.Kind, at time.Duration, change ...func(*track.Frame)) {
	frame := track.Frame{Data: []byte{1, 2, 3}, Key: true}
	if kind == track.Audio {
		frame.Data, frame.Duration = []byte{0xf8, 1, 2}, 20*ms // Opus, 20 ms
	}
	for _, c := range change {
		c(&frame)
	}
	require.NoError(s.t, s.write(queued{track: s.tracks[kind], frame: frame, time: day.Add(at), at: day.Add(at)}))
}

const ms = time.Millisecond

// continuous checks that audio has neither gaps nor overlaps, and returns where it ends.
func continuous(t *testing.T, all []written) (end time.Duration) {
	t.Helper()
	for _, w := range all {
		if w.stream != 1 {
			continue
		}
		require.InDelta(t, float64(end), float64(w.at), float64(2500*time.Microsecond), "at %s", w.at)
		end = w.at + w.length
	}
	return end
}

func TestAudioGapsKeepTheirLength(t *testing.T) {
	for name, gap := range map[string]time.Duration{
		"one packet":                 20 * ms,
		"discontinuous transmission": 400 * ms,
		"ten minutes of mute":        10 * time.Minute,
		"odd length":                 137*ms + 500*time.Microsecond,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.frame(track.Audio, 0)
			s.frame(track.Audio, 20*ms)
			s.frame(track.Audio, 40*ms+gap)
			require.Equal(t, 60*ms+gap, continuous(t, s.file.frames))
			require.InDelta(t, gap.Seconds(), s.streams[track.Audio].report.FilledSilence, 0.0025)
			require.EqualValues(t, 3, s.streams[track.Audio].report.Frames)
		})
	}
}

func TestSilentAudioKeepsUpWithVideo(t *testing.T) {
	s := newScene(t)
	s.frame(track.Audio, 0)
	for at := time.Duration(0); at < time.Minute; at += 33 * ms {
		s.frame(track.Video, at)
		require.Less(t, at-continuous(t, s.file.frames), fillLag)
	}
	s.frame(track.Audio, time.Minute)
	require.Equal(t, time.Minute+20*ms, continuous(t, s.file.frames))
}

func TestAudioThatBeginsLateIsSilentFromTheBeginning(t *testing.T) {
	s := newScene(t)
	s.frame(track.Video, 0)
	s.frame(track.Audio, 100*ms)
	require.Equal(t, 120*ms, continuous(t, s.file.frames))
	require.Equal(t, day.Add(100*ms), *s.streams[track.Audio].report.FirstFrameAt, "its own first frame is what counts")
}

func TestDoubledAudioIsNotWrittenTwice(t *testing.T) {
	s := newScene(t)
	s.frame(track.Audio, 0)
	s.frame(track.Audio, 20*ms)
	s.frame(track.Audio, 20*ms)
	s.frame(track.Audio, 40*ms)
	require.Equal(t, 60*ms, continuous(t, s.file.frames))
	require.EqualValues(t, 1, s.streams[track.Audio].report.DroppedFrames)
}

func TestSlewedAudioIsNotFilled(t *testing.T) {
	s := newScene(t)
	const slow = 20*ms + 100*time.Microsecond // 5 ms a second
	for n := range 500 {
		s.frame(track.Audio, time.Duration(n)*slow)
	}
	require.Len(t, s.file.frames, 500)
	require.Zero(t, s.streams[track.Audio].report.FilledSilence)
}

func TestNoTwoPicturesShareATimestamp(t *testing.T) {
	s := newScene(t)
	s.frame(track.Video, 100*ms)
	s.frame(track.Video, 100*ms)
	require.Equal(t, 100*ms, s.file.frames[0].at)
	require.Equal(t, 101*ms, s.file.frames[1].at)
}

// What a track counts is reported once: of a track that feeds a second part, only what has come since.
func TestPacketsAreNotCountedInTwoParts(t *testing.T) {
	s := newScene(t)
	s.tracks[track.Audio].stats = track.Stats{PacketsReceived: 10, PacketsLost: 2, Dropped: 1}
	s.frame(track.Audio, 0)
	reports, length := s.reports()
	require.Len(t, reports, 1, "nothing has come of a camera: who reads the document would find a track without a name")
	require.EqualValues(t, 10, reports[0].PacketsReceived)
	require.EqualValues(t, 2, reports[0].PacketsLost)
	require.EqualValues(t, 1, reports[0].DroppedFrames)
	require.Equal(t, 20*ms, length)

	next := newWriter(s.file, day, []mux.Stream{{Codec: s.tracks[track.Audio].codec}}, s.known)
	s.writer, s.tracks[track.Audio].stats.PacketsReceived = next, 15
	s.frame(track.Audio, 0)
	reports, _ = s.reports()
	require.EqualValues(t, 5, reports[0].PacketsReceived)
	require.Zero(t, reports[0].PacketsLost)
}

func TestWhatAFileRefusesIsAnError(t *testing.T) {
	s := newScene(t)
	s.frame(track.Audio, 0)
	s.file.broken = errors.New("no space left")
	picture := queued{track: s.tracks[track.Video], frame: track.Frame{Key: true}, time: day.Add(time.Second)}
	require.ErrorIs(t, s.write(picture), s.file.broken, "the silence before it cannot be written")
	sound := queued{track: s.tracks[track.Audio], frame: track.Frame{Duration: 20 * ms}, time: day.Add(time.Second)}
	require.ErrorIs(t, s.write(sound), s.file.broken)
	sound.time = day.Add(20 * ms)
	require.ErrorIs(t, s.write(sound), s.file.broken)
}

// A part that is a minute longer in its document than it is: the gap was counted as the length of the picture behind
// it.
func TestAGapIsNotTheLengthOfAPicture(t *testing.T) {
	s := newScene(t)
	s.frame(track.Video, 0)
	s.frame(track.Video, 40*ms)
	s.frame(track.Video, time.Minute)
	require.Equal(t, time.Minute+40*ms, s.streams[track.Video].end)
	s.frame(track.Video, time.Minute+40*ms)
	require.Equal(t, time.Minute+80*ms, s.streams[track.Video].end)
}
