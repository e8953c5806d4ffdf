package mux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/track"
)

func minimal(t *testing.T) FFmpeg {
	t.Helper()
	tools, err := stack.Tools()
	require.NoError(t, err)
	ffmpeg, err := Probe(t.Context(), filepath.Join(tools, "ffmpeg"))
	require.NoError(t, err)
	require.True(t, ffmpeg.Hybrid)
	return ffmpeg
}

func streamOf(t *testing.T, mime string, config track.Config) Stream {
	t.Helper()
	codec, ok := track.CodecOf(mime)
	require.True(t, ok)
	return Stream{Codec: codec, Config: config}
}

var opusStream = track.Config{Channels: 1, Private: append([]byte("OpusHead\x01\x01\x00\x00"), 0x80, 0xbb, 0, 0, 0, 0, 0)}

// Every packet that goes in comes out, at its own time, through mutes of either stream.
func TestEveryPacketComesOutThroughMutes(t *testing.T) {
	tools, err := stack.Tools()
	require.NoError(t, err)
	frames, err := participant.Frames(t.Context(), filepath.Join(filepath.Dir(tools), "media"), "vp8")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "x.webm")
	part, err := Open(minimal(t), path, []Stream{
		streamOf(t, "video/vp8", track.Config{Width: 320, Height: 240}), streamOf(t, "audio/opus", opusStream),
	})
	require.NoError(t, err)
	require.Equal(t, track.WebM, part.Container)
	counts := map[int]int{}
	nextVideo, nextAudio := 0, 0
	for now := time.Duration(0); now < 30*time.Second; now += time.Millisecond {
		if at := time.Duration(nextVideo) * time.Second / 30; now >= at {
			if muted := now > 5*time.Second && now < 12*time.Second; !muted {
				n := nextVideo % len(frames)
				require.NoError(t, part.Write(0, now, n%30 == 0, frames[n]))
				counts[0]++
			}
			nextVideo++
		}
		if at := time.Duration(nextAudio) * 20 * time.Millisecond; now >= at {
			if muted := now > 8*time.Second && now < 25*time.Second; !muted {
				require.NoError(t, part.Write(1, now, true, track.Silence(1, 20*time.Millisecond)))
				counts[1]++
			}
			nextAudio++
		}
	}
	require.NoError(t, part.Close(t.Context()))
	require.Empty(t, part.Complaints())
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	for n, kind := range []string{"video", "audio"} {
		stream, ok := file.Stream(kind)
		require.True(t, ok)
		require.Equal(t, counts[n], stream.Packets(), kind)
	}
	require.InDelta(t, 30, file.Duration().Seconds(), 0.05)
}

// The uploader relies on it: files only grow, but for their first few hundred bytes.
func TestFilesOnlyGrowButForTheirHeaders(t *testing.T) {
	tools, err := stack.Tools()
	require.NoError(t, err)
	for _, c := range []struct{ codec, container string }{{"vp8", "webm"}, {"h264", "mp4"}, {"", "ogg"}} {
		t.Run(c.container, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x."+c.container)
			streams := []Stream{streamOf(t, "audio/opus", opusStream)}
			media := filepath.Join(filepath.Dir(tools), "media")
			var frames [][]byte
			var config track.Config
			switch c.codec {
			case "h264":
				frames, config = avc(t, media)
			case "vp8":
				config = track.Config{Width: 320, Height: 240}
				frames, err = participant.Frames(t.Context(), media, c.codec)
				require.NoError(t, err)
			}
			if c.codec != "" {
				streams = append(streams, streamOf(t, "video/"+c.codec, config))
			}
			part, err := Open(minimal(t), path, streams)
			require.NoError(t, err)
			var before []byte
			for n := range 3000 { // 60 s
				at := time.Duration(n) * 20 * time.Millisecond
				require.NoError(t, part.Write(0, at, true, bytes.Repeat([]byte{31 << 3}, 100)))
				if n%2 == 0 && c.codec != "" {
					f := n / 2 % len(frames)
					require.NoError(t, part.Write(1, at, f%30 == 0, frames[f]))
				}
				if n == 2500 {
					require.Eventually(t, func() bool {
						before, err = os.ReadFile(path)
						return err == nil && len(before) > 50_000
					}, 10*time.Second, 10*time.Millisecond, "the file grows while it is written")
				}
			}
			require.NoError(t, part.Close(t.Context()))
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Greater(t, len(after), len(before))
			const header = 1024
			require.Equal(t, sha256.Sum256(before[header:]), sha256.Sum256(after[header:len(before)]))
		})
	}
}

// avc makes of H264's byte stream what MP4 keeps: lengths instead of start codes, and the parameter sets in a record.
func avc(t *testing.T, media string) (frames [][]byte, config track.Config) {
	t.Helper()
	units, err := participant.Frames(t.Context(), media, "h264")
	require.NoError(t, err)
	for _, unit := range units {
		var nals h264.AnnexB
		require.NoError(t, nals.Unmarshal(unit))
		for _, nal := range nals {
			switch h264.NALUType(nal[0] & 0x1f) {
			case h264.NALUTypeSPS:
				if config.Width > 0 {
					continue
				}
				config.Private = append([]byte{1, nal[1], nal[2], nal[3], 0xff, 0xe1, 0, byte(len(nal))}, nal...)
			case h264.NALUTypePPS:
				if config.Width == 0 {
					config.Private = append(append(config.Private, 1, 0, byte(len(nal))), nal...)
					config.Width, config.Height = 320, 240
				}
			}
		}
		frame, err := h264.AVCC(nals).Marshal()
		require.NoError(t, err)
		frames = append(frames, frame)
	}
	return frames, config
}

func TestProbeRefusesABinaryThatCannotDoIt(t *testing.T) {
	_, err := Probe(t.Context(), "/bin/true")
	require.Error(t, err)
	_, err = Probe(t.Context(), filepath.Join(t.TempDir(), "missing"))
	require.Error(t, err)
}

func TestDeadFFmpegIsAnErrorOfTheNextWrite(t *testing.T) {
	part, err := Open(minimal(t), filepath.Join(t.TempDir(), "x.ogg"), []Stream{streamOf(t, "audio/opus", opusStream)})
	require.NoError(t, err)
	require.NoError(t, part.cmd.Process.Kill())
	require.Eventually(t, func() bool { return part.Write(0, 0, true, make([]byte, 1000)) != nil }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.Error(t, part.Close(ctx))
}
