package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/recorder/track"
)

// read is everything that a media file has.
type read struct {
	streams []Stream
	packets [][]Packet // of each stream
}

func demux(t *testing.T, body []byte, container string) (all read, err error) {
	t.Helper()
	file := Media{Body: bytes.NewReader(body), Size: int64(len(body)), Container: container}
	err = Demux(t.Context(), minimal(t), file, func(streams []Stream) error {
		all.streams, all.packets = streams, make([][]Packet, len(streams))
		return nil
	}, func(p Packet) error {
		p.Data = bytes.Clone(p.Data)
		all.packets[p.Stream] = append(all.packets[p.Stream], p)
		return nil
	})
	return all, err
}

// keyEvery is how far apart key frames of the signals are.
const keyEvery = 10

// Every packet that went into a file comes out of it, byte by byte, at its own time.
func TestEveryPacketIsReadAgain(t *testing.T) {
	for _, c := range []struct{ codec, container string }{{"vp8", "webm"}, {"vp9", "webm"}, {"h264", "mp4"}, {"", "ogg"}} {
		for name, open := range map[string]func(FFmpeg, string, []Stream) (*Part, error){"open": Open, "idle": OpenIdle} {
			t.Run(c.codec+c.container+" "+name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x."+c.container)
				var streams []Stream
				var frames [][]byte
				var config track.Config
				var err error
				switch c.codec {
				case "h264":
					frames, config = avc(t, mediaDirectory(t), "h264")
				case "vp8", "vp9":
					config = track.Config{Width: 320, Height: 240}
					frames, err = participant.Frames(t.Context(), mediaDirectory(t), c.codec)
					require.NoError(t, err)
				}
				if c.codec != "" {
					streams = append(streams, streamOf(t, "video/"+c.codec, config))
				}
				streams = append(streams, streamOf(t, "audio/opus", opusStream))

				part, err := open(minimal(t), path, streams)
				require.NoError(t, err)
				written := make([][]Packet, len(streams))
				write := func(stream int, at time.Duration, key bool, data []byte) {
					require.NoError(t, part.Write(stream, at, key, data))
					written[stream] = append(written[stream], Packet{Stream: stream, At: at, Key: key, Data: data})
				}
				sound := len(streams) - 1
				for n := range 1000 {
					at := time.Duration(n) * 20 * time.Millisecond
					write(sound, at, true, append(bytes.Repeat([]byte{31 << 3}, 100), byte(n), byte(n>>8)))
					if pictures := n - 250; c.codec != "" && pictures >= 0 && pictures%2 == 0 { // they begin after 5 s
						f := pictures / 2 % len(frames)
						write(0, at, f%keyEvery == 0, frames[f])
					}
				}
				require.NoError(t, part.Close(t.Context()))
				body, err := os.ReadFile(path)
				require.NoError(t, err)

				all, err := demux(t, body, c.container)
				require.NoError(t, err)
				require.Len(t, all.streams, len(streams))
				for n, s := range all.streams {
					require.Equal(t, streams[n].Codec.Name, s.Codec.Name)
					require.Equal(t, streams[n].Config.Width, s.Config.Width)
					require.Equal(t, streams[n].Config.Channels, s.Config.Channels)
					require.Len(t, all.packets[n], len(written[n]))
					for k, p := range all.packets[n] {
						if k == 0 && n == 0 && c.container == "mp4" && name == "open" {
							continue // a fragmented file cannot say when a stream begins
						}
						want := written[n][k]
						require.True(t, bytes.Equal(want.Data, p.Data), "packet %d of stream %d", k, n)
						require.Equal(t, []any{want.At, want.Key}, []any{p.At, p.Key}, "packet %d of stream %d", k, n)
					}
				}
			})
		}
	}
}

func TestWhatIsNoMediaFileIsSaidToBeNone(t *testing.T) {
	_, whole, _ := record(t, "mp4", "h264", 500)
	for name, c := range map[string]struct {
		body      []byte
		container string
	}{
		"garbage":             {bytes.Repeat([]byte("x"), 10_000), "webm"},
		"nothing":             {nil, "ogg"},
		"no boxes":            {bytes.Repeat([]byte("x"), 10_000), "mp4"},
		"without its index":   {whole[:len(whole)-3000], "mp4"},
		"sound that is none":  {append([]byte("OggS"), make([]byte, 500)...), "ogg"},
		"another kind of box": {append([]byte("\x00\x00\x00\x08ftyp\x00\x00\x00\x08moov"), 0), "mp4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := demux(t, c.body, c.container)
			require.ErrorIs(t, err, ErrNoMedia)
		})
	}
}

// failingAt is a file that cannot be read from somewhere on.
type failingAt struct {
	io.ReaderAt
	offset int64
	err    error
}

func (f failingAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.offset {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, offset)
}

// What has been read before must not be taken for the whole.
func TestAFileThatCannotBeReadIsNotTakenForAShortOne(t *testing.T) {
	_, body, _ := record(t, "webm", "vp8", 1000)
	away := errors.New("the bucket is away")
	file := Media{
		Body:      failingAt{bytes.NewReader(body), int64(len(body) / 2), away},
		Size:      int64(len(body)),
		Container: "webm",
	}
	nothing := func([]Stream) error { return nil }
	require.ErrorIs(t, Demux(t.Context(), minimal(t), file, nothing, func(Packet) error { return nil }), away)

	file.Body = bytes.NewReader(body)
	enough := errors.New("enough")
	require.ErrorIs(t, Demux(t.Context(), minimal(t), file, nothing, func(Packet) error { return enough }), enough)

	ctx, cancel := context.WithCancelCause(t.Context())
	err := Demux(ctx, minimal(t), file, nothing, func(Packet) error { cancel(away); return nil })
	require.ErrorIs(t, err, away)
}
