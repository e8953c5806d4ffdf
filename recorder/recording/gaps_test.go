package recording

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/ledger"
)

// scene writes frames of one track, each arriving when it was captured.
type scene struct {
	*writer
	t      *testing.T
	tracks map[track.Kind]*room.Track
}

func newScene(t *testing.T) *scene {
	w, _, _ := newWriter(t)
	s := &scene{writer: w, t: t, tracks: map[track.Kind]*room.Track{}}
	for kind, stream := range w.streams {
		s.tracks[kind] = stream.track
		stream.track.SID = "TR_" + string(kind)
	}
	return s
}

func (s *scene) frame(kind track.Kind, at time.Duration, change ...func(*track.Frame)) {
	frame := track.Frame{Data: []byte{1, 2, 3}, Key: true}
	if kind == track.Audio {
		frame.Duration = 20 * ms
	}
	for _, c := range change {
		c(&frame)
	}
	require.NoError(s.t, s.write(unit{track: s.tracks[kind], frame: frame, time: day.Add(at), at: day.Add(at)}))
}

func (s *scene) listed(kind track.Kind) []ledger.Gap { return s.streams[kind].gaps.gaps }

func lost(f *track.Frame) { f.AfterLoss = true }

func TestGapsAreListedWithTheirReasons(t *testing.T) {
	s := newScene(t)
	for at := time.Duration(0); at < time.Second; at += 20 * ms {
		s.frame(track.Audio, at)
	}
	s.frame(track.Audio, 1060*ms, lost)
	s.mutes.set("TR_audio", true, day.Add(1090*ms))
	for at := 1080 * ms; at < 2*time.Second; at += 20 * ms { // the server fills the first second
		s.frame(track.Audio, at, func(f *track.Frame) { f.Data = []byte{0xf8, 0xff, 0xfe} })
	}
	s.mutes.set("TR_audio", false, day.Add(5010*ms)) // a little later than the first packet
	s.frame(track.Audio, 5*time.Second)
	s.frame(track.Audio, 5400*ms) // discontinuous transmission
	s.frame(track.Audio, 5800*ms)
	gaps := s.listed(track.Audio)
	require.Len(t, gaps, 3)
	for n, want := range []ledger.Gap{{Kind: ledger.GapLoss, Start: 1, Length: 0.06},
		{Kind: ledger.GapMuted, Start: 1.08, Length: 3.92}, {Kind: ledger.GapUnsent, Start: 5.02, Length: 0.78}} {
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
	s.mutes.set("TR_video", true, day.Add(13*time.Second))
	s.mutes.set("TR_video", false, day.Add(14*time.Second))
	s.frame(track.Video, 15*time.Second)
	s.frame(track.Video, 17*time.Second)
	gaps := s.listed(track.Video)
	require.Len(t, gaps, 2)
	require.Equal(t, ledger.GapLoss, gaps[0].Kind)
	require.Equal(t, ledger.GapMuted, gaps[1].Kind)
}

func TestAnotherTrackInItsPlaceWasAbsent(t *testing.T) {
	s := newScene(t)
	s.frame(track.Audio, 0)
	next := *s.tracks[track.Audio]
	q := unit{track: &next, frame: track.Frame{Data: []byte{1}, Key: true, Duration: 20 * ms}, time: day.Add(9 * time.Second)}
	s.followed(s.streams[track.Audio], q, 9*time.Second, 9020*ms)
	require.Equal(t, []ledger.Gap{{Kind: ledger.GapAbsent, Start: 0.02, Length: 8.98}}, s.listed(track.Audio))
}

func TestTheListOfGapsIsBounded(t *testing.T) {
	l := &gapList{}
	for n := range ledger.MaxGaps + 7 {
		at := time.Duration(n) * time.Second
		l.add(ledger.GapLoss, at, at+20*ms)
	}
	require.Len(t, l.gaps, ledger.MaxGaps)
	require.Equal(t, 7, l.omitted)
}

func TestBFramesKeepTheirTimes(t *testing.T) {
	w, sink, _ := newWriter(t)
	w.streams[track.Video].config.Reorders = true
	for _, at := range []time.Duration{0, 100, 33, 67, 200} {
		q := unit{track: w.streams[track.Video].track, frame: track.Frame{Data: []byte{0}}, time: day.Add(at * ms)}
		require.NoError(t, w.write(q))
	}
	var times []time.Duration
	for _, frame := range sink.all {
		if frame.stream == 0 {
			times = append(times, frame.at/ms)
		}
	}
	require.Equal(t, []time.Duration{0, 100, 33, 67, 200}, times)
}
