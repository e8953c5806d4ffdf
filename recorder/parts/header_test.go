package parts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/mux"
	"livekit-recorder/recorder/track"
)

func frameOf(t *fakeTrack, at time.Duration, width, height int) queued {
	return queued{
		track: t,
		time:  day.Add(at),
		frame: track.Frame{Config: track.Config{Width: width, Height: height}},
	}
}

// Players make their window as large as the header says.
func TestTheLargestPictureMakesTheHeader(t *testing.T) {
	cam, other := camera(0), newTrack("TR_other", "video/h264")
	streams, origin := layOut([]queued{
		frameOf(cam, 0, 320, 180),
		frameOf(cam, 40*ms, 1280, 720),
		frameOf(cam, 80*ms, 640, 360),
		frameOf(other, 90*ms, 1920, 1080),
	}, nil)
	require.Len(t, streams, 1)
	require.Equal(t, 1280, streams[0].Config.Width)
	require.Equal(t, day, origin)
}

// Nothing can be decoded before time 0.
func TestPicturesThatAreReorderedLeaveTimeToDecodeThem(t *testing.T) {
	cam := newTrack("TR_camera", "video/h264")
	streams, origin := layOut([]queued{
		frameOf(cam, 0, 2, 2),
		frameOf(cam, 80*ms, 2, 2),
		frameOf(cam, 40*ms, 2, 2),
	}, nil)
	require.True(t, streams[0].Config.Reorders)
	require.Equal(t, day.Add(-mux.ReorderDelay), origin)
}

func TestAStreamWithoutFramesIsLastAndOnlyOnce(t *testing.T) {
	cam, mic := camera(0), microphone()
	extra := &mux.Stream{Codec: mic.codec, Config: mic.config}
	streams, _ := layOut([]queued{frameOf(cam, 0, 2, 2)}, extra)
	require.Len(t, streams, 2)
	require.Equal(t, "opus", streams[1].Codec.Name)

	streams, _ = layOut([]queued{frameOf(cam, 0, 2, 2), frameOf(mic, 0, 0, 0)}, extra)
	require.Len(t, streams, 2)
}
