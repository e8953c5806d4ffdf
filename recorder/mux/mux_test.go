package mux

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"syscall"
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

var opusStream = track.Config{
	Channels: 1,
	Private:  append([]byte("OpusHead\x01\x01\x00\x00"), 0x80, 0xbb, 0, 0, 0, 0, 0),
}

// Every packet that goes in comes out, at its own time, through mutes of either stream.
func TestEveryPacketComesOutThroughMutes(t *testing.T) {
	frames, err := participant.Frames(t.Context(), mediaDirectory(t), "vp8")
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
	for _, c := range []struct{ codec, container string }{{"vp8", "webm"}, {"h264", "mp4"}, {"", "ogg"}} {
		t.Run(c.container, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x."+c.container)
			streams := []Stream{streamOf(t, "audio/opus", opusStream)}
			media := mediaDirectory(t)
			var frames [][]byte
			var config track.Config
			var err error
			switch c.codec {
			case "h264":
				frames, config = avc(t, media, "h264")
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
func avc(t *testing.T, media, signal string) (frames [][]byte, config track.Config) {
	t.Helper()
	units, err := participant.Frames(t.Context(), media, signal)
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

// remux writes a signal's frames at their times, in order of decoding, and reads the file.
func remux(t *testing.T, stream Stream, frames [][]byte, at func(n int) time.Duration,
	keyFrameEvery int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x."+string(stream.Codec.Container))
	part, err := Open(minimal(t), path, []Stream{stream})
	require.NoError(t, err)
	for n, frame := range frames {
		require.NoError(t, part.Write(0, at(n), n%keyFrameEvery == 0, frame))
	}
	require.NoError(t, part.Close(t.Context()))
	require.Empty(t, part.Complaints())
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, len(frames), file.Streams[0].Packets())
	require.InDelta(t, 10, file.Duration().Seconds(), 0.05, "without the time before the first frame")
	complaints, err := analyse.Decode(t.Context(), path)
	require.NoError(t, err)
	require.Empty(t, complaints)
	flashes, err := analyse.Flashes(t.Context(), path)
	require.NoError(t, err)
	require.Len(t, flashes, 9)
	for n, flash := range flashes {
		require.InDelta(t, (time.Duration(n+1)*time.Second + at(0)).Seconds(), flash.Seconds(), 0.001)
	}
	return path
}

func mediaDirectory(t *testing.T) string {
	t.Helper()
	tools, err := stack.Tools()
	require.NoError(t, err)
	return filepath.Join(filepath.Dir(tools), "media")
}

// B-frames are sent after frames that are shown later: each has its own time, and the order of sending is kept.
func TestBFramesAreShownAtTheirOwnTimes(t *testing.T) {
	frames, config := avc(t, mediaDirectory(t), "h264-bframes")
	config.Reorders = true
	shown := []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8} // I P B B P B B P B B
	remux(t, streamOf(t, "video/h264", config), frames, func(n int) time.Duration {
		return ReorderDelay + time.Duration(n/10*10+shown[n%10])*time.Second/30
	}, 10)
}

func TestVP9Profile2(t *testing.T) {
	frames, err := participant.Frames(t.Context(), mediaDirectory(t), "vp9-profile2")
	require.NoError(t, err)
	vp9 := streamOf(t, "video/vp9", track.Config{Width: 320, Height: 240})
	path := remux(t, vp9, frames, func(n int) time.Duration {
		return time.Duration(n) * time.Second / 30
	}, 10)
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, "Profile 2", file.Streams[0].Profile)
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
	require.Eventually(t, func() bool { return part.Write(0, 0, true, make([]byte, 1000)) != nil }, 10*time.Second,
		time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.Error(t, part.Close(ctx))
}

// A process that stops reading, or a disk that hangs, must not hang the recording.
func TestHungFFmpegIsAnErrorInTime(t *testing.T) {
	part, err := Open(minimal(t), filepath.Join(t.TempDir(), "x.ogg"), []Stream{streamOf(t, "audio/opus", opusStream)})
	require.NoError(t, err)
	require.NoError(t, part.cmd.Process.Signal(syscall.SIGSTOP))
	began := time.Now()
	for n := 0; err == nil; n++ {
		err = part.Write(0, time.Duration(n)*20*time.Millisecond, true, make([]byte, 1000))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, time.Since(began), 2*WriteTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, part.Close(ctx), errKilled)
}
