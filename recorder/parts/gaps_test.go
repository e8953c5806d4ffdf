package parts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

func (s *scene) listed(kind track.Kind) []document.Gap { return s.streams[kind].gaps.gaps }

func lost(f *track.Frame) { f.AfterLoss = true }

func TestGapsAreListedWithTheirReasons(t *testing.T) {
	s := newScene(t)
	for at := time.Duration(0); at < time.Second; at += 20 * ms {
		s.frame(track.Audio, at)
	}
	s.frame(track.Audio, 1060*ms, lost)
	s.known.mutes.set("TR_audio", true, day.Add(1090*ms))
	for at := 1080 * ms; at < 2*time.Second; at += 20 * ms { // the server fills the first second
		s.frame(track.Audio, at, func(f *track.Frame) { f.Data = []byte{0xf8, 0xff, 0xfe} })
	}
	s.known.mutes.set("TR_audio", false, day.Add(5010*ms)) // a little later than the first packet
	s.frame(track.Audio, 5*time.Second)
	s.frame(track.Audio, 5400*ms) // discontinuous transmission
	s.frame(track.Audio, 5800*ms)
	gaps := s.listed(track.Audio)
	require.Len(t, gaps, 3)
	for n, want := range []document.Gap{
		{Kind: document.GapLoss, Start: 1, Length: 0.06},
		{Kind: document.GapMuted, Start: 1.08, Length: 3.92},
		{Kind: document.GapUnsent, Start: 5.02, Length: 0.78},
	} {
		require.Equal(t, want.Kind, gaps[n].Kind)
		require.InDelta(t, want.Start, gaps[n].Start, 0.021) // that mutes and frames cross costs a frame
		require.InDelta(t, want.Length, gaps[n].Length, 0.021)
	}
}

func TestSlowCamerasHaveNoGapsButLostAndMutedOnesDo(t *testing.T) {
	s := newScene(t)
	for at := time.Duration(0); at <= 10*time.Second; at += time.Second { // a shared screen that hardly moves
		s.frame(track.Video, at)
	}
	require.Empty(t, s.listed(track.Video))
	s.frame(track.Video, 12*time.Second, lost)
	s.known.mutes.set("TR_video", true, day.Add(13*time.Second))
	s.known.mutes.set("TR_video", false, day.Add(14*time.Second))
	s.frame(track.Video, 15*time.Second)
	s.frame(track.Video, 17*time.Second)
	gaps := s.listed(track.Video)
	require.Len(t, gaps, 2)
	require.Equal(t, document.GapLoss, gaps[0].Kind)
	require.Equal(t, document.GapMuted, gaps[1].Kind)
}

// Of a picture that the mute has cut in two, what there is leaves the receiver together with the next one, after the
// mute.
func TestPictureThatWasCutByAMuteDoesNotHideIt(t *testing.T) {
	s := newScene(t)
	s.frame(track.Video, 0)
	s.frame(track.Video, 40*ms)
	s.known.mutes.set("TR_video", true, day.Add(90*ms))
	s.known.mutes.set("TR_video", false, day.Add(4*time.Second))

	for _, captured := range []time.Duration{80 * ms, 4 * time.Second} {
		require.NoError(t, s.write(queued{
			track: s.tracks[track.Video],
			frame: track.Frame{Data: []byte{1}, Key: true},
			time:  day.Add(captured),
			at:    day.Add(4*time.Second + 5*ms),
		}))
	}
	for at := 4040 * ms; at < 6*time.Second; at += 200 * ms { // a slow camera, of which nothing is missing
		s.frame(track.Video, at)
	}

	gaps := s.listed(track.Video)
	require.Len(t, gaps, 1)
	require.Equal(t, document.GapMuted, gaps[0].Kind)
	require.InDelta(t, 0.12, gaps[0].Start, 0.001)
	require.InDelta(t, 3.88, gaps[0].Length, 0.001)
}

func TestAnotherTrackInItsPlaceWasAbsent(t *testing.T) {
	s := newScene(t)
	s.frame(track.Audio, 0)
	next := newTrack("TR_next", "audio/opus")
	q := queued{
		track: next,
		frame: track.Frame{Data: []byte{1}, Key: true, Duration: 20 * ms},
		time:  day.Add(9 * time.Second),
	}
	s.followed(s.streams[track.Audio], q, 9*time.Second, 9020*ms)
	require.Equal(t, []document.Gap{{Kind: document.GapAbsent, Start: 0.02, Length: 8.98}}, s.listed(track.Audio))
}

func TestTheListOfGapsIsBounded(t *testing.T) {
	l := &gapList{}
	for n := range document.MaxGaps + 7 {
		at := time.Duration(n) * time.Second
		require.Equal(t, n < document.MaxGaps, l.add(document.GapLoss, at, at+20*ms, true))
	}
	require.Len(t, l.gaps, document.MaxGaps)
	require.Equal(t, 7, l.omitted)
}

// All gaps of all parts of a recording are in memory, however many parts there are.
func TestTheGapsOfARecordingAreBounded(t *testing.T) {
	s := newScene(t)
	audio := s.streams[track.Audio]
	listed, omitted := 0, 0
	for range 2 * maxAllGaps / document.MaxGaps {
		audio.gaps = gapList{} // the next part's
		for n := range document.MaxGaps {
			at := time.Duration(n) * time.Second
			s.gap(audio, document.GapLoss, at, at+20*ms)
		}
		listed, omitted = listed+len(audio.gaps.gaps), omitted+audio.gaps.omitted
	}
	require.Equal(t, maxAllGaps, listed)
	require.Equal(t, maxAllGaps, omitted)
}

func TestBFramesKeepTheirTimes(t *testing.T) {
	s := newScene(t)
	s.streams[track.Video].config.Reorders = true
	for _, at := range []time.Duration{0, 100, 33, 67, 200} {
		q := queued{track: s.tracks[track.Video], frame: track.Frame{Data: []byte{0}}, time: day.Add(at * ms)}
		require.NoError(t, s.write(q))
	}
	var times []time.Duration
	for _, frame := range s.file.frames {
		if frame.stream == 0 {
			times = append(times, frame.at/ms)
		}
	}
	require.Equal(t, []time.Duration{0, 100, 33, 67, 200}, times)
}

// Until the part's end, silence was filled in behind the last sound: it is listed, too.
func TestSilenceAtTheEndOfAPartIsAGap(t *testing.T) {
	for kind, muted := range map[document.GapKind]bool{document.GapMuted: true, document.GapUnsent: false} {
		s := newScene(t)
		s.frame(track.Audio, 0)
		if muted {
			s.known.mutes.set("TR_audio", true, day.Add(20*ms))
		}
		for at := time.Duration(0); at <= time.Second; at += 100 * ms {
			s.frame(track.Video, at)
		}
		s.end(day.Add(time.Second))
		require.Len(t, s.listed(track.Audio), 1)
		require.Equal(t, kind, s.listed(track.Audio)[0].Kind)
	}
}
