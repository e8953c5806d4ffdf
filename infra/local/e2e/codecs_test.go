package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever joins a room that is recorded by rule is recorded from LiveKit's webhook on, in the container of their
// codec.
func TestWebhookRecordsEveryCodec(t *testing.T) {
	for codec, container := range map[string]string{"vp8": "webm", "vp9": "webm", "h264": "mp4"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()

			room := "auto-" + codec
			p := join(t, system, room, "alice")
			publish(t, p, codec)
			pause(t, p, 2*length)
			p.Leave()

			r := ended(t, system, room, "alice")
			require.Equal(t, "the participant left", r.Reason)
			require.Len(t, r.Parts, 1)
			require.Equal(t, container, r.Parts[0].Container)
			checkCovers(t, system, r, p.Sent("audio"))
			checkSignal(t, system, r.Parts[0])

			// How soon it begins is up to LiveKit and to the machine, too: it is told, and not judged.
			late := r.StartedAt.Sub(p.Sent("audio")[0].From)
			t.Logf("recorded from %s behind the first frame on", late.Round(time.Millisecond))
		})
	}
}
