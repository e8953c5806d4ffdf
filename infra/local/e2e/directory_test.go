package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/webhook"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/recorder/notify"
	"livekit-recorder/shared/document"
)

// Without a bucket, finished files and documents lie in a directory; completion webhooks are signed like LiveKit's.
func TestRecordingsDirectoryAndCompletionWebhook(t *testing.T) {
	t.Parallel()
	received := make(chan notify.Event, 10)
	hook := httptest.NewServer(receiver(received))
	defer hook.Close()

	s := ownSystem(t)
	stored := directory(t, s)
	recorder(t, s, "S3_BUCKET=", "RECORDINGS_DIR="+stored, "WEBHOOK_URLS="+hook.URL)
	p := join(t, s, "local", "alice")
	publish(t, p, "h264")
	r := start(t, s, map[string]string{"room": "local", "participant": "alice", "file": "{room}-{participant}"})
	require.Eventually(t, func() bool { // REST reads the bucket, and there is none
		_, err := os.Stat(filepath.Join(stored, "local-alice.json"))
		return err == nil
	}, patience, 100*time.Millisecond, "no document came; logs: %s", s.Work)
	pause(t, p, length)
	stop(t, s, map[string]string{"room": "local", "participant": "alice"})

	events := map[string]notify.Event{}
	for len(events) < 2 {
		select {
		case e := <-received:
			events[e.Event] = e
		case <-time.After(patience):
			t.Fatalf("no webhooks came but %v; logs: %s", events, s.Work)
		}
	}
	require.Equal(t, r.ID, events["recording_started"].Recording.ID)
	require.Equal(t, document.Active, events["recording_started"].Recording.State)
	event := events["recording_ended"]
	require.Equal(t, "standard", event.Recording.Kind)
	require.Equal(t, r.ID, event.Recording.ID)
	require.Equal(t, document.Completed, event.Recording.State, event.Recording.Reason)

	written, err := os.ReadFile(filepath.Join(stored, "local-alice.json"))
	require.NoError(t, err)
	require.NoError(t, s.Watch.Contract.Document(written))

	path := filepath.Join(stored, event.Recording.Parts[0].Key)
	info, err := os.Stat(path)
	require.NoError(t, err, "the notice comes after the file")
	require.Equal(t, event.Recording.Parts[0].Size, info.Size())
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, "h264+opus", file.Codecs())
}

// receiver takes signed webhooks, and answers the first attempt with an error.
func receiver(received chan<- notify.Event) http.Handler {
	failures := 1
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := webhook.Receive(r, auth.NewSimpleKeyProvider(stack.LiveKitKey, stack.LiveKitSecret))
		if failures--; err != nil || failures >= 0 {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}

		system.Watch.Note(system.Watch.Contract.Notice(body))
		var event notify.Event
		if json.Unmarshal(body, &event) == nil {
			received <- event
		}
	})
}
