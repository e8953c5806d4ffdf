package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// A recorder that cannot reach LiveKit must not take starts: each would come to nothing there, while others could
// record. That LiveKit was there before says that it is away, and that the address is right: the recorder starts.
func TestRecorderWithoutLiveKitLeavesStartsToOthers(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	network, err := relay.Start(s.LiveKit)
	require.NoError(t, err)
	recorder(t, s, "LIVEKIT_URL="+network.URL).Stop()
	network.Close() // nobody listens there any more
	recorder(t, s, "LIVEKIT_URL="+network.URL)
	p := join(t, s, "closed-port", "alice")
	publish(t, p, "vp8")
	r := start(t, s, map[string]string{"room": "closed-port", "participant": "alice"})

	for range 10 {
		pass(t, 500*time.Millisecond)
		waiting, held := messages(t, s, s.StartQueue)
		require.Equal(t, []int{1, 0}, []int{waiting, held}, "starts that wait, and that are held; logs: %s", s.Work)
	}

	recorder(t, s)
	healthy := time.Now()
	r = await(t, s, r.ID, active)
	require.Less(t, time.Since(healthy), 10*time.Second, "nothing had been tried in vain, or it would have waited")
	require.Len(t, r.Parts, 1)
	pause(t, p, length)
	p.Leave()
	checkAll(t, s, awaitEnd(t, s, r.ID, document.Completed), p.Sent("audio"))
}

// noticing is how long it may take until a recording is somewhere else whose recorder has lost LiveKit. Most of it is
// the SDK's: its attempts to come back take about a minute, and only then does the window begin.
const noticing = 2 * time.Minute

// A recorder that has lost LiveKit for longer than it waits for that gives its recordings to those that have not.
func TestRecorderCutOffFromLiveKitGivesItsRecordingsBack(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	network, err := relay.Start(s.LiveKit)
	require.NoError(t, err)
	t.Cleanup(network.Close)
	recorder(t, s, "LIVEKIT_URL="+network.URL, "REJOIN_WINDOW=5s")
	p, r := recorded(t, s, "cut-off", "vp8")
	pause(t, p, length)
	recorder(t, s)

	cut := time.Now()
	network.Set(relay.Network{Cut: true})
	r, err = s.REST().Await(bounded(t, noticing), r.ID, hasParts(2))
	require.NoError(t, err)
	t.Logf("cut off at %s, went on after %s", cut.UTC(), r.Parts[1].StartedAt.Sub(cut))
	require.Equal(t, 2, r.Epoch)
	pause(t, p, length)
	p.Leave()

	r = awaitEnd(t, s, r.ID, document.Completed)
	require.Len(t, r.Parts, 2)
	require.False(t, r.Parts[0].Recovered, "its recorder lives, and has stored it")
	sent := p.Sent("audio")
	require.Empty(t, missing(r, sent, cut.Add(-lastPackets)), "what came before the cut")
	later := timeline.From(sent, *r.Parts[1].StartedAt)
	require.Empty(t, missing(r, later, end(sent).Add(-lastPackets)), "what came after it")
	checkParts(t, s, r)
	noMessages(t, s)
}
