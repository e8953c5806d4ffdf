package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/document"
)

// A stop goes to whichever recorder takes it; the one that records hears of it.
func TestStopsReachTheOtherRecorder(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	for range 2 {
		recorder(t, s, "MAX_RECORDINGS=3")
	}

	var ids []string
	for n := range 6 {
		room := fmt.Sprint("room-", n)
		publish(t, join(t, s, room, "alice"), "")
		ids = append(ids, start(t, s, map[string]string{"room": room, "participant": "alice"}).ID)
	}

	recorders := map[string]bool{}
	for _, id := range ids {
		recorders[await(t, s, id, active).Recorder] = true
	}
	require.Len(t, recorders, 2, "neither takes more than it may")

	for _, id := range ids {
		stop(t, s, map[string]string{"id": id})
	}
	stopped := time.Now()
	for _, id := range ids {
		r := awaitEnd(t, s, id, document.Completed)
		require.Equal(t, "stopped on request", r.Reason)
		// Nobody would look at the ledger for half a minute.
		require.Less(t, r.EndedAt.Sub(stopped), 5*time.Second, "its recorder is told")
	}
}
