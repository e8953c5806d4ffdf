package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

func joinToken(t *testing.T, room, identity string) string {
	t.Helper()
	token, err := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).SetIdentity(identity).
		SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: room}).SetValidFor(time.Hour).ToJWT()
	require.NoError(t, err)
	return token
}

// A browser is the only publisher that does simulcast, RED, DTX and SVC as they are in the world. What it sends is
// recorded, and what was recorded plays in a browser.
func TestBrowserPublishesAndPlays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b, err := browser.Start(ctx, filepath.Join(module, ".tools", "browser"), filepath.Join(system.BucketRoot, stack.Bucket))
	require.NoError(t, err)
	defer b.Close()
	for _, c := range []struct{ codec, mode, container string }{
		{"vp8", "", "webm"}, {"h264", "", "mp4"}, {"vp9", "L3T3_KEY", "webm"}, {"av1", "L1T3", "mp4"},
	} {
		t.Run(c.codec+c.mode, func(t *testing.T) {
			room := "auto-browser-" + c.codec
			require.NoError(t, b.Publish(ctx, c.codec, system.LiveKit, joinToken(t, room, "alice"), c.codec, c.mode))
			time.Sleep(10 * time.Second) // the length of the recording
			require.NoError(t, b.Leave(ctx, c.codec))
			recording := await(t, room, "alice")
			require.Equal(t, ledger.Completed, recording.State, recording.Reason)
			require.Len(t, recording.Parts, 1)
			part := recording.Parts[0]
			require.Equal(t, c.container, part.Container)
			file := checkSignal(t, part, browser.EncoderDelay)
			played, err := b.Play(ctx, part.Key)
			require.NoError(t, err)
			t.Logf("chromium: %+v", played)
			require.InDelta(t, file.Duration().Seconds(), played.Duration, 0.1)
			require.InDelta(t, played.Duration/2, played.SeekedTo, 0.05)
			require.Greater(t, played.PlayedTo, played.SeekedTo)
		})
	}
}
