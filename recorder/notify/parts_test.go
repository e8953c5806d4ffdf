package notify

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever wants to know before parts are joined is told twice, by events that are not the same.
func TestReceiversMayBeToldBeforePartsAreJoined(t *testing.T) {
	n, bodies, _ := receiver(t, http.StatusOK)
	e := &Everybody{Webhooks: n}
	require.Empty(t, e.ReceiversOfParts(ended))
	n.Stored = true
	early := e.ReceiversOfParts(ended)
	require.Len(t, early, 1)
	require.NoError(t, e.Deliver(t.Context(), early[0], ended))
	require.NoError(t, e.Deliver(t.Context(), e.Receivers(ended)[0], ended))

	var events []Event
	for _, body := range bodies() {
		var event Event
		require.NoError(t, json.Unmarshal([]byte(body), &event))
		events = append(events, event)
	}
	require.Equal(t, []string{"recording_stored", "recording_ended"}, []string{events[0].Event, events[1].Event})
	require.NotEqual(t, events[0].ID, events[1].ID)
}
