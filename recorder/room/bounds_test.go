package room

import (
	"fmt"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"

	"livekit-recorder/recorder/track"
)

// Somebody mutes and unmutes all day, while the bot waits for a call that hangs.
func TestMutesThatNobodyTakesAreBounded(t *testing.T) {
	b, pub := aBot(), &lksdk.RemoteTrackPublication{}
	callbacks := b.trackCallbacks(func() {})
	for range 1000 {
		callbacks.OnTrackMuted(pub, nil)
		callbacks.OnTrackUnmuted(pub, nil)
		callbacks.OnTrackSubscriptionFailed("TR_1", nil)
		callbacks.OnTrackUnpublished(pub, nil)
	}
	require.Len(t, b.mail.waiting, 2)

	m, last := newMailbox(), map[string]int{}
	for n := range 10 * maxAgain {
		sid := fmt.Sprint("TR_", n%(2*maxAgain))
		m.postAgain(sid, func() { last[sid] = n })
	}
	require.True(t, m.post(func() {}), "what must not be left out has room")
	waiting := m.take()
	require.Len(t, waiting, maxAgain+1)
	for _, f := range waiting {
		f()
	}
	require.Equal(t, 8*maxAgain, last["TR_0"], "the newest state is what counts")

	m.postAgain("TR_0", func() {})
	require.Len(t, m.take(), 1, "what has been taken makes room")
}

// In a room that is never empty, people who are recorded come and go.
func TestWhatABotKnowsOfThoseWhoAreGoneIsForgotten(t *testing.T) {
	b := aBot()
	host := b.tracks.timebase("host", "PA_host")
	for n := range 10_000 {
		identity, sid := fmt.Sprint("guest", n), fmt.Sprint("TR_", n)
		guest := b.tracks.timebase(identity, "PA_guest")
		b.tracks.requested[sid], b.tracks.faults[sid] = time.Now(), 1
		b.tracks.feeds[sid] = newFeedOf(&offered{sid: sid}, identity, b.log)

		b.tracks.forget(map[string]bool{sid: true}, map[string]bool{"host": true, identity: true})
		require.Same(t, guest, b.tracks.timebase(identity, "PA_guest"))
		b.tracks.forget(nil, map[string]bool{"host": true})
		require.Same(t, guest, b.tracks.timebase(identity, "PA_guest"), "a track of theirs still comes")
		delete(b.tracks.feeds, sid)

		b.tracks.forget(nil, map[string]bool{"host": true})
		require.Len(t, b.tracks.timebases, 1)
		require.Empty(t, b.tracks.requested)
		require.Empty(t, b.tracks.faults)
	}
	require.Same(t, host, b.tracks.timebase("host", "PA_host"))
	require.NotSame(t, host, b.tracks.timebase("host", "PA_host again"))
	require.IsType(t, &track.Timebase{}, host)
}
