package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/livekit/protocol/auth"

	"livekit-recorder/shared/ledger"
)

// REST calls the service's API as a user would, with a token of the local credentials.
type REST struct{ Base string }

// Do makes a call and decodes its answer; the status must be the wanted one.
func (r REST) Do(ctx context.Context, method, path string, body, answer any, want int) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		encoded = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, r.Base+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	token, err := auth.NewAccessToken(LiveKitKey, LiveKitSecret).
		SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).SetValidFor(time.Hour).ToJWT()
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return json.Unmarshal(text, answer)
}

// Start starts a recording.
func (r REST) Start(ctx context.Context, body any) (recording ledger.Recording, err error) {
	return recording, r.Do(ctx, http.MethodPost, "/recordings/start", body, &recording, http.StatusAccepted)
}

// Stop stops recordings.
func (r REST) Stop(ctx context.Context, body any) error {
	return r.Do(ctx, http.MethodPost, "/recordings/stop", body, &struct{}{}, http.StatusAccepted)
}

// Get reads one recording.
func (r REST) Get(ctx context.Context, id string) (recording ledger.Recording, err error) {
	return recording, r.Do(ctx, http.MethodGet, "/recordings/"+id, nil, &recording, http.StatusOK)
}

// List reads the recordings of a participant.
func (r REST) List(ctx context.Context, room, identity string) ([]ledger.Recording, error) {
	var answer struct{ Recordings []ledger.Recording }
	query := url.Values{"room": {room}, "participant": {identity}}
	return answer.Recordings, r.Do(ctx, http.MethodGet, "/recordings?"+query.Encode(), nil, &answer, http.StatusOK)
}

// Await returns the participant's recording when it has come to its end, well or not.
func (r REST) Await(ctx context.Context, room, identity string) (ledger.Recording, error) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		recordings, err := r.List(ctx, room, identity)
		if err != nil {
			return ledger.Recording{}, err
		}
		if n := len(recordings); n > 0 && recordings[n-1].Final() {
			return recordings[n-1], nil
		}
		select {
		case <-ctx.Done():
			return ledger.Recording{}, fmt.Errorf("wait for the recording of %s in %s: %w, so far %v", identity, room, ctx.Err(), recordings)
		case <-ticker.C:
		}
	}
}
