package recording

import (
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/room"
	"livekit-recorder/recorder/track"
)

type written struct {
	stream int
	at     time.Duration
	length time.Duration // of audio
}

type fakeSink struct{ all []written }

func (f *fakeSink) Write(stream int, at time.Duration, _ bool, data []byte) error {
	f.all = append(f.all, written{stream, at, time.Duration(opus.PacketDuration2(data)) * time.Second / 48000})
	return nil
}

func newWriter(t *testing.T) (w *writer, sink *fakeSink, write func(kind track.Kind, at time.Duration)) {
	t.Helper()
	sink = &fakeSink{}
	w = &writer{sink: sink, origin: day, streams: map[track.Kind]*stream{
		track.Video: {index: 0}, track.Audio: {index: 1, config: track.Config{Channels: 2}},
	}, mutes: mutes{}}
	tracks := map[track.Kind]*room.Track{}
	for kind, mime := range map[track.Kind]string{track.Audio: "audio/opus", track.Video: "video/VP8"} {
		codec, ok := track.CodecOf(mime)
		require.True(t, ok)
		tracks[kind] = &room.Track{Codec: codec}
		w.streams[kind].track = tracks[kind] // attributed: it has no receiver to ask for counts
	}
	return w, sink, func(kind track.Kind, at time.Duration) {
		frame := track.Frame{Data: []byte{0}, Key: true}
		if kind == track.Audio {
			frame.Data, frame.Duration = track.Silence(2, 20*time.Millisecond), 20*time.Millisecond
		}
		require.NoError(t, w.write(unit{track: tracks[kind], frame: frame, time: day.Add(at)}))
	}
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
		"one packet": 20 * ms, "discontinuous transmission": 400 * ms, "ten minutes of mute": 10 * time.Minute, "odd length": 137*ms + 500*time.Microsecond,
	} {
		t.Run(name, func(t *testing.T) {
			w, sink, write := newWriter(t)
			write(track.Audio, 0)
			write(track.Audio, 20*ms)
			write(track.Audio, 40*ms+gap)
			require.Equal(t, 60*ms+gap, continuous(t, sink.all))
			require.InDelta(t, gap.Seconds(), w.streams[track.Audio].report.FilledSilence, 0.0025)
			require.EqualValues(t, 3, w.streams[track.Audio].report.Frames)
		})
	}
}

func TestSilentAudioKeepsUpWithVideo(t *testing.T) {
	_, sink, write := newWriter(t)
	write(track.Audio, 0)
	for at := time.Duration(0); at < time.Minute; at += 33 * ms {
		write(track.Video, at)
		require.Less(t, at-continuous(t, sink.all), fillLag)
	}
	write(track.Audio, time.Minute)
	require.Equal(t, time.Minute+20*ms, continuous(t, sink.all))
}

func TestAudioThatBeginsLateIsSilentFromTheBeginning(t *testing.T) {
	w, sink, write := newWriter(t)
	write(track.Video, 0)
	write(track.Audio, 100*ms)
	require.Equal(t, 120*ms, continuous(t, sink.all))
	require.Equal(t, day.Add(100*ms), *w.streams[track.Audio].report.FirstFrameAt, "its own first frame is what counts")
}

func TestDoubledAudioIsNotWrittenTwice(t *testing.T) {
	w, sink, write := newWriter(t)
	write(track.Audio, 0)
	write(track.Audio, 20*ms)
	write(track.Audio, 20*ms)
	write(track.Audio, 40*ms)
	require.Equal(t, 60*ms, continuous(t, sink.all))
	require.EqualValues(t, 1, w.streams[track.Audio].report.DroppedFrames)
}

func TestSlewedAudioIsNotFilled(t *testing.T) {
	w, sink, write := newWriter(t)
	const slow = 20*ms + 100*time.Microsecond // 5 ms a second
	for n := range 500 {
		write(track.Audio, time.Duration(n)*slow)
	}
	require.Len(t, sink.all, 500)
	require.Zero(t, w.streams[track.Audio].report.FilledSilence)
}

func TestNoTwoPicturesShareATimestamp(t *testing.T) {
	_, sink, write := newWriter(t)
	write(track.Video, 100*ms)
	write(track.Video, 100*ms)
	require.Equal(t, 100*ms, sink.all[0].at)
	require.Equal(t, 101*ms, sink.all[1].at)
}
