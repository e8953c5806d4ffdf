package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/relay"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/infra/local/timeline"
	"livekit-recorder/shared/document"
)

// Somebody's connection can break while they say goodbye: they have stopped sending then, and are in the room still.
// What they have sent must be recorded all the same, and the other people must not wait for it.
func TestNothingIsLostWhenTheGoodbyeHangs(t *testing.T) {
	t.Parallel()
	const room = "auto-hanging-goodbye"

	heard := make(chan struct{})
	alice := join(t, system, room, "alice", participant.Options{Goodbye: func() { <-heard }})
	t.Cleanup(alice.Vanish)
	bob := join(t, system, room, "bob")
	publish(t, alice, "vp8")
	publish(t, bob, "vp8")
	pause(t, alice, length)
	pause(t, bob, length)

	alice.Leave() // returns without having been heard
	bob.Leave()
	checkCovers(t, system, ended(t, system, room, "bob"), bob.Sent("audio"))

	recordings, err := system.REST().List(t.Context(), room, "alice")
	require.NoError(t, err)
	require.Len(t, recordings, 1)
	require.Equal(t, document.Active, recordings[0].State, "she is still in the room")

	close(heard)
	alice.Vanish()
	r := ended(t, system, room, "alice")
	require.Len(t, r.Parts, 1)
	checkCovers(t, system, r, alice.Sent("audio"))
	checkSignal(t, system, r.Parts[0])
}

// Somebody whose network goes for good says no goodbye at all: LiveKit notices after some time.
func TestNothingIsLostWhenTheNetworkGoesForGood(t *testing.T) {
	t.Parallel()
	const room = "auto-no-goodbye"

	network, err := relay.Start(system.LiveKit)
	require.NoError(t, err)
	t.Cleanup(network.Close)
	p, err := participant.Join(network.URL, stack.LiveKitKey, stack.LiveKitSecret, room, "alice", media)
	require.NoError(t, err)
	t.Cleanup(p.Leave)
	publish(t, p, "vp8")
	pause(t, p, 2*length)

	cut := time.Now()
	network.Set(relay.Network{Cut: true})
	p.Leave() // unheard; what was sent until then went into the void

	r := ended(t, system, room, "alice")
	require.Len(t, r.Parts, 1)
	checkCovers(t, system, r, timeline.Until(p.Sent("audio"), cut))
	checkSignal(t, system, r.Parts[0])
}
