package joining

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/parts"
	"livekit-recorder/shared/document"
)

// whole is what a file must have: sound and pictures of the call between times, in seconds.
type whole struct {
	sound, pictures [][2]float64
}

// signals are the flashes or beeps that lie within times. There is one each second; one with which a file's pictures or
// sounds begin does not count.
func signals(within [][2]float64, least float64) (at []float64) {
	for second := 1.0; second < 100; second++ {
		for _, w := range within {
			if second >= w[0]+least && second < w[1]-0.3 {
				at = append(at, second)
			}
		}
	}
	return at
}

// requireSignals compares where flashes or beeps are with where they must be.
func requireSignals(t *testing.T, must []float64, are []time.Duration, within float64) {
	t.Helper()
	require.Len(t, are, len(must), "%v: %v", must, are)
	for n := range must {
		require.InDelta(t, must[n], are[n].Seconds(), within)
	}
}

// A file must be what it would have been if it had been recorded in one: every frame once, all of them decodable, sound
// and pictures in step, and nothing of the parts left.
func TestPartsBecomeOneFile(t *testing.T) {
	for name, c := range map[string]struct {
		parts []recorded
		whole whole
		file  string
	}{
		"a camera that comes late": {
			[]recorded{{name: "room/alice", to: 12}, {name: "room/alice.part2", from: 12, to: 30, codec: "vp8"}},
			whole{[][2]float64{{0, 30}}, [][2]float64{{12, 30}}}, "room/alice.joined.webm",
		},
		"a camera that comes late, in MP4": {
			[]recorded{{name: "room/alice", to: 12}, {name: "room/alice.part2", from: 12, to: 30, codec: "h264"}},
			whole{[][2]float64{{0, 30}}, [][2]float64{{12, 30}}}, "room/alice.joined.mp4",
		},
		"another recorder goes on": {
			[]recorded{{name: "room/alice", to: 9.9, codec: "vp8"}, {name: "room/alice.e2", from: 17.1, to: 30, codec: "vp8"}},
			whole{[][2]float64{{0, 9.9}, {17.1, 30}}, [][2]float64{{0, 9.9}, {17.1, 30}}}, "room/alice.joined.webm",
		},
		"another recorder goes on, in MP4": {
			[]recorded{{name: "room/alice", to: 9.9, codec: "h264"},
				{name: "room/alice.e2", from: 17.1, to: 30, codec: "h264"}},
			whole{[][2]float64{{0, 9.9}, {17.1, 30}}, [][2]float64{{0, 9.9}, {17.1, 30}}}, "room/alice.joined.mp4",
		},
		"it is handed over": {
			[]recorded{{name: "room/alice", to: 16.1, codec: "vp9"}, {name: "room/alice.e2", from: 13.9, to: 30, codec: "vp9"}},
			whole{[][2]float64{{0, 30}}, [][2]float64{{0, 30}}}, "room/alice.joined.webm",
		},
		"it is handed over, in MP4": {
			[]recorded{{name: "room/alice", to: 16.1, codec: "h264"},
				{name: "room/alice.e2", from: 13.9, to: 30, codec: "h264"}},
			whole{[][2]float64{{0, 30}}, [][2]float64{{0, 30}}}, "room/alice.joined.mp4",
		},
		"sound alone": {
			[]recorded{{name: "room/alice", to: 16.11}, {name: "room/alice.e2", from: 13.95, to: 30}},
			whole{sound: [][2]float64{{0, 30}}}, "room/alice.joined.ogg",
		},
		"the whole of what was cut off, too": {
			[]recorded{{name: "room/alice", to: 9.9, codec: "vp8"}, {name: "room/alice.rest", to: 12.4, codec: "vp8"},
				{name: "room/alice.e2", from: 12.1, to: 20, codec: "vp8"}},
			whole{[][2]float64{{0, 20}}, [][2]float64{{0, 20}}}, "room/alice.joined.webm",
		},
		"pictures alone at first, and in the end sound alone": {
			[]recorded{{name: "room/alice", to: 5, codec: "vp8", silent: true},
				{name: "room/alice.part2", from: 5, to: 15, codec: "vp8"}, {name: "room/alice.e2", from: 16, to: 25}},
			whole{[][2]float64{{5, 15}, {16, 25}}, [][2]float64{{0, 15}}}, "room/alice.joined.webm",
		},
		"mono, and then stereo": {
			[]recorded{{name: "room/alice", to: 9.6, codec: "vp8"},
				{name: "room/alice.e2", from: 9.6, to: 20, codec: "vp8", channels: 2}},
			whole{[][2]float64{{0, 20}}, [][2]float64{{0, 20}}}, "room/alice.joined.webm",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := newCall(t)
			for _, p := range c.parts {
				call.add(p)
			}
			call.end()
			r := call.join()

			require.Equal(t, []string{c.file}, call.files())
			require.Len(t, r.Parts, 1)
			part := r.Parts[0]
			require.Equal(t, c.file, part.Key)
			require.Equal(t, &document.Joining{Attempts: 1}, r.Join)
			require.Len(t, part.Joined, len(c.parts))
			end := c.parts[len(c.parts)-1].to
			require.InDelta(t, end, part.Duration, 0.05)
			require.Equal(t, noon, part.StartedAt.UTC())

			path := filepath.Join(call.root, c.file)
			file, err := analyse.Probe(t.Context(), path)
			require.NoError(t, err)
			require.InDelta(t, end, file.Duration().Seconds(), 0.05)
			var packets, kept int64
			for _, s := range file.Streams {
				packets += int64(s.Packets())
			}
			for _, j := range part.Joined {
				kept += j.Packets - j.Cut
			}
			silence := end
			for _, s := range c.whole.sound {
				silence -= s[1] - s[0]
			}
			require.InDelta(t, float64(kept)+silence/0.02, packets, 8, "shorter frames of silence at the ends of gaps")

			complaints, err := analyse.Decode(t.Context(), path)
			require.NoError(t, err)
			require.Empty(t, complaints)
			beeps, err := analyse.Beeps(t.Context(), path)
			require.NoError(t, err)
			requireSignals(t, signals(c.whole.sound, 0), beeps, 0.012)
			if c.whole.pictures == nil {
				return
			}
			flashes, err := analyse.Flashes(t.Context(), path)
			require.NoError(t, err)
			requireSignals(t, signals(c.whole.pictures, 0.01), flashes, 0.002)
			requirePictures(t, c.whole.pictures, part)
		})
	}
}

// requirePictures sees that the document counts every picture, and lists the times without any.
func requirePictures(t *testing.T, within [][2]float64, part document.Part) {
	t.Helper()
	n := slices.IndexFunc(part.Tracks, func(t document.TrackReport) bool { return t.Kind == "video" })
	require.GreaterOrEqual(t, n, 0)
	video := part.Tracks[n]
	pictures := 0.0
	for _, w := range within {
		pictures += (w[1] - w[0]) * 30
	}
	require.InDelta(t, pictures, video.Frames, 11, "one may begin up to a key frame later")
	require.InDelta(t, within[0][0], video.Offset, 0.002)
	require.Len(t, video.Gaps, len(within)-1)
	for n, gap := range video.Gaps {
		require.Equal(t, document.GapUnrecorded, gap.Kind)
		require.InDelta(t, within[n][1], gap.Start, 0.05)
		require.InDelta(t, within[n+1][0]-within[n][1], gap.Length, 0.4)
	}
}

// What cannot be in one file is in as few as possible, and the document says why. Nothing is joined twice.
func TestAnotherCodecStaysInAFileOfItsOwn(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.add(recorded{name: "room/alice.part3", from: 6, to: 9, codec: "h264"})
	call.add(recorded{name: "room/alice.part4", from: 9, to: 12, codec: "h264"})
	call.end()

	for range 2 { // the second time there is nothing to do
		r := call.join()
		require.Equal(t, []string{"room/alice.joined.part2.mp4", "room/alice.joined.webm"}, call.files())
		require.Len(t, r.Parts, 2)
		require.Empty(t, r.Parts[0].Separate)
		require.Equal(t, "its pictures are h264, those before it vp8", r.Parts[1].Separate)
		require.Equal(t, noon.Add(6*time.Second), r.Parts[1].StartedAt.UTC())
		require.Equal(t, &document.Joining{Attempts: 1}, r.Join)
	}
}

func TestPartsThatHaveToBeSeparateStayAsTheyAre(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3, codec: "vp8"})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "h264"})
	call.end()
	r := call.join()
	require.Equal(t, []string{"room/alice.part2.mp4", "room/alice.webm"}, call.files())
	require.Equal(t, "its pictures are h264, those before it vp8", r.Parts[1].Separate)
	require.Empty(t, r.Parts[1].Joined)
	require.False(t, r.Several())
}

// A file that nobody can read is kept, whatever it is; what is around it is joined.
func TestAFileThatCannotBeReadIsKept(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3, codec: "vp8"})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.add(recorded{name: "room/alice.part3", from: 6, to: 9, codec: "vp8"})
	broken := filepath.Join(call.root, "room/alice.part3.webm")
	require.NoError(t, os.WriteFile(broken, []byte("no media"), 0o600))
	call.end()
	r := call.join()
	require.Equal(t, []string{"room/alice.joined.webm", "room/alice.part3.webm"}, call.files())
	require.Contains(t, r.Parts[1].Separate, "cannot be read")
}

// A recorder that was killed leaves what it had come to. The next one removes that, and begins anew.
func TestWhatAKilledRecorderLeavesIsRemoved(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	_, err := call.joiner.Documents.BeginJoin(t.Context(), call.recording)
	require.NoError(t, err)
	left := filepath.Join(call.root, "room/alice.joined.webm")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))

	r := call.join()
	require.Equal(t, []string{"room/alice.joined2.webm"}, call.files())
	require.Equal(t, &document.Joining{Attempts: 2}, r.Join)

	// It was killed behind the writing of the document. What has another size is another file.
	again := filepath.Join(call.root, "room/alice.ogg")
	require.NoError(t, os.WriteFile(again, make([]byte, r.Parts[0].Joined[0].Size), 0o600))
	call.join()
	require.Equal(t, []string{"room/alice.joined2.webm"}, call.files())
	require.NoError(t, os.WriteFile(again, []byte("more than was joined"), 0o600))
	call.join()
	require.Equal(t, []string{"room/alice.joined2.webm", "room/alice.ogg"}, call.files())
}

// Recorders die of it, again and again: the recording is told of as it is.
func TestWhatKillsRecordersIsGivenUp(t *testing.T) {
	call := newCall(t)
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	for range document.MostUnended {
		_, err := call.joiner.Documents.BeginJoin(t.Context(), call.recording)
		require.NoError(t, err)
	}
	r := call.join()
	require.Equal(t, []string{"room/alice.ogg", "room/alice.part2.webm"}, call.files())
	require.Contains(t, r.Join.Reason, "died")
	require.Zero(t, r.Join.Unended)
}

// forgetful is an ffmpeg that loses a packet.
type forgetful struct{ ffmpeg }

type forgetfulFile struct {
	parts.File
	n int
}

func (f *forgetfulFile) Write(stream int, at time.Duration, key bool, data []byte) error {
	if f.n++; f.n == 100 {
		return nil
	}
	return f.File.Write(stream, at, key, data)
}

func (f forgetful) OpenIdle(path string, streams []mux.Stream) (parts.File, error) {
	file, err := f.ffmpeg.OpenIdle(path, streams)
	return &forgetfulFile{File: file}, err
}

// One frame that is missing is enough: the parts stay, and it is said why.
func TestPartsStayIfTheFileHasNotAllOfThem(t *testing.T) {
	call := newCall(t)
	call.joiner.Media = forgetful{call.media}
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	r := call.join()
	require.Equal(t, []string{"room/alice.ogg", "room/alice.part2.webm"}, call.files())
	require.Len(t, r.Parts, 2)
	require.Contains(t, r.Join.Reason, "300 packets of its audio have been written, it has 299")
}

// A recorder that has to end gives the rest to another one, and leaves nothing.
func TestJoiningEndsWhenItsRecorderDoes(t *testing.T) {
	call := newCall(t)
	ctx, cancel := context.WithCancel(t.Context())
	call.joiner.Media = ending{call.media, cancel}
	call.add(recorded{name: "room/alice", to: 3})
	call.add(recorded{name: "room/alice.part2", from: 3, to: 6, codec: "vp8"})
	call.end()
	require.ErrorIs(t, call.joiner.Join(ctx, call.recording), context.Canceled)
	require.Equal(t, []string{"room/alice.ogg", "room/alice.part2.webm"}, call.files())
	require.Equal(t, &document.Joining{Attempts: 1}, call.document().Join)
	left, err := os.ReadDir(call.joiner.Work)
	require.NoError(t, err)
	require.Empty(t, left)

	call.joiner.Media = call.media
	require.Len(t, call.join().Parts, 1)
}

// ending has the recorder end when the file is begun.
type ending struct {
	ffmpeg
	end func()
}

func (e ending) OpenIdle(path string, streams []mux.Stream) (parts.File, error) {
	e.end()
	return e.ffmpeg.OpenIdle(path, streams)
}

// Whoever was taken for dead comes back with more than was there: it is joined to what has been joined.
func TestTheRestOfALateRecorderIsJoined(t *testing.T) {
	for _, codec := range []string{"vp8", "h264"} {
		t.Run(codec, func(t *testing.T) {
			call := newCall(t)
			call.add(recorded{name: "room/alice", to: 5, codec: codec})
			call.add(recorded{name: "room/alice.e2", from: 8, to: 12, codec: codec})
			call.end()
			joined := call.join().Parts[0]

			call.recording.Parts = nil
			call.add(recorded{name: "room/alice.e2.rest", from: 8, to: 15, codec: codec})
			r, err := call.joiner.Documents.Amend(t.Context(), call.recording, call.recording.Parts)
			require.NoError(t, err)
			require.Len(t, r.Parts, 2)
			call.recording = r
			r = call.join()
			require.Len(t, r.Parts, 1)
			require.Equal(t, []string{"room/alice.joined2" + filepath.Ext(joined.Key)}, call.files())
			require.InDelta(t, 15, r.Parts[0].Duration, 0.05)
			require.Len(t, r.Parts[0].Joined, 4, "the file that was joined is one of them")
			complaints, err := analyse.Decode(t.Context(), filepath.Join(call.root, r.Parts[0].Key))
			require.NoError(t, err)
			require.Empty(t, complaints)
		})
	}
}
