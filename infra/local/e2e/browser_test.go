package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/browser"
	"livekit-recorder/infra/local/fidelity"
	"livekit-recorder/infra/local/stack"
)

// A browser is the only publisher that does simulcast, RED, DTX and SVC as they are in the world. What it sends is
// recorded, and what was recorded plays in a browser. How well sound and picture fit is measured with publishers that
// know when they sent what.
func TestBrowserPublishesAndPlays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bucket := filepath.Join(system.BucketRoot, stack.Bucket)
	b, err := browser.Start(ctx, filepath.Join(module, ".tools", "browser"), bucket)
	require.NoError(t, err)
	defer b.Close()

	bench := &fidelity.Bench{System: system, Work: t.TempDir(), Media: media, Browser: b}
	for _, c := range fidelity.Cases() {
		if !c.Quick || !c.Browser {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			result, err := c.Run(ctx, bench)
			require.NoError(t, err)
			t.Log(result)
			require.Empty(t, c.Limits.Untimed().Check(result))

			played, err := b.Play(t.Context(), result.Keys[0])
			require.NoError(t, err)
			t.Logf("chromium: %+v", played)
			require.InDelta(t, result.Duration.Seconds(), played.Duration, 0.1)
			require.InDelta(t, played.Duration/2, played.SeekedTo, 0.05)
			require.Greater(t, played.PlayedTo, played.SeekedTo)
		})
	}
}
