package joining

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
	"livekit-recorder/shared/document"
)

// The recording had ended without any part, so that it was not known when it began. Whoever owned it before had parts.
func TestPartsThatComeBehindTheEndAreOneBehindTheOther(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 5, codec: "vp8"})
	call.add(recorded{name: "room/alice.part2", from: 5, to: 8, codec: "vp8"})
	late := call.recording.Parts
	call.recording.Parts = nil
	call.end()
	require.Nil(t, call.recording.StartedAt)

	var err error
	call.recording, err = call.joiner.Documents.Amend(t.Context(), call.recording, late)
	require.NoError(t, err)
	r := call.join()
	require.Len(t, r.Parts, 1)
	require.InDelta(t, 8, r.Parts[0].Duration, 0.05)
	for _, j := range r.Parts[0].Joined {
		require.Zero(t, j.Cut, j.Key)
	}
}

// Times are since the earliest part that has one.
func TestTheEarliestPartIsTheOrigin(t *testing.T) {
	later := noon.Add(time.Second)
	require.Equal(t, noon, origin([]document.Part{{}, {StartedAt: &later}, {StartedAt: &noon}}))
	require.Zero(t, origin([]document.Part{{}}))
}

// Another recorder takes over, and the publisher's clock is 15 seconds behind what it was: it was set, or it is another
// device's. What seems to be there twice is not.
func TestNothingIsLostWhenAClockIsSetBack(t *testing.T) {
	for _, c := range []recorded{
		{codec: "vp8"},
		{codec: "vp8", silent: true},
		{},
	} {
		call := newCall(t)
		first, second := c, c
		first.name, first.to = "room/alice", 20
		second.name, second.from, second.to = "room/alice.e2", 20, 30
		call.add(first)
		call.add(second)
		at := noon.Add(5 * time.Second)
		call.recording.Parts[1].StartedAt = &at
		call.end()

		r := call.join()
		require.Len(t, call.files(), 2)
		require.Len(t, r.Parts, 2)
		require.Empty(t, r.Parts[0].Separate)
		require.Equal(t, separateClock, r.Parts[1].Separate)
	}
}

// ffmpeg has nothing against a file that has lost its end.
func TestAFileThatHasLostItsEndIsKept(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 10})
	call.add(recorded{name: "room/alice.part2", from: 10, to: 12})
	call.end()
	short := filepath.Join(call.root, "room/alice.ogg")
	info, err := os.Stat(short)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(short, info.Size()*9/10))

	r := call.join()
	require.Equal(t, []string{"room/alice.ogg", "room/alice.part2.ogg"}, call.files())
	require.Equal(t, "its file ends after 9.0 of 10.0 seconds", r.Parts[0].Separate)
}

// What is not remembered stands in for nothing that has been left out.
func TestWhatIsBehindTheLastSpanIsNotTakenToBeThere(t *testing.T) {
	codec, ok := track.CodecOf("audio/opus")
	require.True(t, ok)
	w := newWeave(nothing{}, 0, []mux.Stream{{Codec: codec, Config: track.Config{Channels: 1}}})
	kept := &w.strands[track.Audio].spans
	for n := range mostSpans + 100 {
		at := time.Duration(n) * 4 * time.Second
		kept.add(at, at+time.Second)
	}
	w.begin(&scanned{}, piece{n: 1})
	speech := []byte{31 << 3, 1, 2}
	w.leftOut(track.Audio, 5000*4*time.Second, speech, time.Second)
	require.NoError(t, w.covered(), "it is known to be there")

	last := time.Duration(mostSpans+50) * 4 * time.Second
	require.False(t, kept.add(last, last+time.Second))
	w.leftOut(track.Audio, last, speech, time.Second+together/2)
	require.ErrorIs(t, w.covered(), errCounted)
}

// Silence, background noise and what comes again and again do not tell at which time they were.
func TestWhatTellsATime(t *testing.T) {
	var s scanned
	for n, data := range [][]byte{
		track.Silence(1, silenceFrame),
		track.Silence(2, silenceFrame),
		{31 << 3, 1, 2, 3, 4, 5, 6},
		{31 << 3, 1, 2, 3, 4, 5, 6, 7},
	} {
		s.mark(time.Duration(n)*silenceFrame, mux.Packet{Data: data, Length: silenceFrame})
	}
	require.Len(t, s.marks, 1)

	frames := func(sums ...uint64) (all []keyFrame) { // one each second; 0 is none
		for n, sum := range sums {
			if sum != 0 {
				all = append(all, keyFrame{seconds(float64(n)), sum})
			}
		}
		return all
	}
	for _, c := range []struct {
		others, own []keyFrame
		likeness    likeness
	}{
		{frames(1, 2, 3, 4), frames(1, 2, 3, 4), likeness{4, 4, 4}},
		{frames(1, 2, 3, 4), frames(0, 1, 2, 3), likeness{3, 3, 0}},
		{frames(1, 2), frames(1, 2, 3, 4), likeness{4, 4, 2}},
		{frames(7, 7, 7, 7), frames(7), likeness{1, 0, 0}},
		{frames(7), frames(7, 7, 7, 4), likeness{4, 1, 0}},
	} {
		require.Equal(t, c.likeness, compare(c.others, c.own, 0, time.Minute, 0), "%v in %v", c.own, c.others)
	}
	require.Equal(t, likeness{2, 2, 2}, compare(frames(1, 2, 3, 4), frames(1, 2, 3, 4), 0, time.Minute, 1))
}

// However much is said, two recorders remember the same of it.
func TestFewFramesOfSoundAreRemembered(t *testing.T) {
	var long, short scanned
	for n := range mostMarks + 50_000 {
		at := time.Duration(n) * silenceFrame
		p := mux.Packet{Data: []byte{31 << 3, byte(n), byte(n >> 8), byte(n >> 16), 1, 2, 3, 4}, Length: silenceFrame}
		long.mark(at, p)
		if n > mostMarks {
			short.mark(at, p)
		}
	}
	require.NotZero(t, long.picked)
	require.LessOrEqual(t, len(long.marks), mostMarks)
	require.Zero(t, short.picked)

	from := seconds(mostMarks * silenceFrame.Seconds())
	l := compare(long.marks, short.marks, from, 2*from, long.picked)
	require.InDelta(t, 25_000, l.all, 5_000)
	require.Equal(t, likeness{l.all, l.all, l.all}, l)
}
