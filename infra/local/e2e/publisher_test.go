package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/stack"
)

// All these tests compare recordings with what their publishers say they have sent. A frame that found no connection
// must not be among that: it would look like a loss of the recorder's.
func TestPublisherTellsWhatFoundNoConnection(t *testing.T) {
	t.Parallel()
	network, err := relay.Start(system.LiveKit)
	require.NoError(t, err)
	t.Cleanup(network.Close)
	p, err := participant.Join(network.URL, stack.LiveKitKey, stack.LiveKitSecret, "publisher", "alice", media)
	require.NoError(t, err)
	t.Cleanup(p.Leave)
	_, microphone := publish(t, p, "")
	pause(t, p, time.Second)

	network.Set(relay.Network{Cut: true}) // which a connection notices after 10 s
	require.Eventually(t, func() bool { return len(microphone.Unsent()) > 10 }, patience, 100*time.Millisecond,
		"frames were taken for sent although there was no connection")
	network.Set(relay.Network{})
	pause(t, p, time.Second)
	p.Leave()

	sent := microphone.Spans()
	t.Logf("sent %v, %d frames found no connection", sent, len(microphone.Unsent()))
	require.Greater(t, len(sent), 1, "it was interrupted, and went on")
	for _, at := range microphone.Unsent() {
		for _, span := range sent {
			require.False(t, at.After(span.From) && at.Before(span.To), "%s is in %s", at, span)
		}
	}
}
