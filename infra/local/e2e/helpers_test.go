package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

// await returns the participant's newest recording when it has come to its end.
func await(t *testing.T, room, identity string) ledger.Recording {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	recording, err := api().Await(ctx, room, identity)
	require.NoError(t, err)
	return recording
}

func api() stack.REST { return stack.REST{Base: system.API} }

// checkSignal decodes a part and compares it with the test signal.
func checkSignal(t *testing.T, s *stack.Stack, part ledger.Part, encoderDelay time.Duration) analyse.File {
	t.Helper()
	path := s.Path(part.Key)
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	complaints, err := analyse.Decode(t.Context(), path)
	require.NoError(t, err)
	require.Empty(t, complaints)
	flashes, err := analyse.Flashes(t.Context(), path)
	require.NoError(t, err)
	beeps, err := analyse.Beeps(t.Context(), path)
	require.NoError(t, err)
	offset, spread, err := analyse.Offset(flashes, beeps)
	require.NoError(t, err)
	offset -= encoderDelay
	t.Logf("%s: %s, %s, %d flashes, %d beeps, offset %s ± %s", part.Key, file.Codecs(), file.Duration(), len(flashes), len(beeps), offset, spread)
	require.InDelta(t, 0, offset.Seconds(), 0.020, "offset between audio and video")
	require.InDelta(t, part.Duration, file.Duration().Seconds(), 0.1, "the document's duration against the file's")
	for _, track := range part.Tracks {
		stream, ok := file.Stream(track.Kind)
		require.True(t, ok)
		require.Equal(t, track.Codec, stream.Codec)
		// What a dead recorder, or a dead ffmpeg, had not written is counted but not there.
		if cut := part.Recovered || strings.Contains(part.Reason, "ffmpeg failed"); track.Kind == "video" && !cut {
			if track.PacketsLost+track.DroppedFrames > 0 { // a busy machine's sockets overflow
				t.Logf("%d packets lost, %d frames dropped", track.PacketsLost, track.DroppedFrames)
			}
			require.EqualValues(t, track.Frames, stream.Packets(), "frames that were received against frames in the file")
		}
	}
	return file
}
