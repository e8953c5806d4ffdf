package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

func join(t *testing.T, room, identity string) *participant.Participant {
	t.Helper()
	p, err := participant.Join(system.LiveKit, stack.LiveKitKey, stack.LiveKitSecret, room, identity, media)
	require.NoError(t, err)
	t.Cleanup(p.Leave)
	return p
}

func TestWebhookRecordsEveryCodec(t *testing.T) {
	for codec, container := range map[string]string{"vp8": "webm", "vp9": "webm", "h264": "mp4"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			for _, signal := range []string{codec, "opus"} {
				_, err := participant.Make(t.Context(), media, signal)
				require.NoError(t, err)
			}
			room := "auto-" + codec
			p := join(t, room, "alice")
			_, err := p.Microphone()
			require.NoError(t, err)
			_, err = p.Camera(codec)
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
			p.Leave()
			recording := await(t, room, "alice")
			require.Equal(t, ledger.Completed, recording.State, recording.Reason)
			require.Equal(t, "the participant left", recording.Reason)
			require.Len(t, recording.Parts, 1)
			require.Less(t, recording.StartedAt.Sub(recording.RequestedAt), 1500*time.Millisecond, "from joining to the first frame")
			part := recording.Parts[0]
			require.Equal(t, container, part.Container)
			checkSignal(t, system, part, participant.EncoderDelay)
		})
	}
}
