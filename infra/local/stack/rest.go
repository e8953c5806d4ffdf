package stack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/livekit/protocol/auth"

	"livekit-recorder/shared/document"
	"livekit-recorder/shared/keys"
)

// REST calls the service's API as a user would, with a token of the local credentials.
type REST struct {
	Base string   // URL
	Logs string   // directory, for messages
	Key  keys.Key // signs the tokens; empty: the local credentials
}

// REST is the stack's API.
func (s *Stack) REST() REST { return REST{Base: s.API, Logs: s.Work} }

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

	key := cmp.Or(r.Key, keys.Key{ID: LiveKitKey, Secret: LiveKitSecret})
	token, err := auth.NewAccessToken(key.ID, key.Secret).
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
func (r REST) Start(ctx context.Context, body any) (recording document.Recording, err error) {
	return recording, r.Do(ctx, http.MethodPost, "/recordings/start", body, &recording, http.StatusAccepted)
}

// Stop stops recordings.
func (r REST) Stop(ctx context.Context, body any) error {
	return r.Do(ctx, http.MethodPost, "/recordings/stop", body, &struct{}{}, http.StatusAccepted)
}

// Get reads one recording.
func (r REST) Get(ctx context.Context, id string) (recording document.Recording, err error) {
	return recording, r.Do(ctx, http.MethodGet, "/recordings/"+id, nil, &recording, http.StatusOK)
}

// List reads the recordings of a participant.
func (r REST) List(ctx context.Context, room, identity string) ([]document.Recording, error) {
	var answer struct{ Recordings []document.Recording }
	query := url.Values{"room": {room}, "participant": {identity}}
	return answer.Recordings, r.Do(ctx, http.MethodGet, "/recordings?"+query.Encode(), nil, &answer, http.StatusOK)
}

// All reads the recordings of a room, page by page.
func (r REST) All(ctx context.Context, room string) (all []document.Recording, err error) {
	query := url.Values{"room": {room}, "limit": {"100"}}
	for {
		var page struct {
			Recordings []document.Recording
			Cursor     string
		}
		if err := r.Do(ctx, http.MethodGet, "/recordings?"+query.Encode(), nil, &page, http.StatusOK); err != nil {
			return nil, err
		}
		if all = append(all, page.Recordings...); page.Cursor == "" {
			return all, nil
		}
		query.Set("cursor", page.Cursor)
	}
}

// Await returns a recording when it is as wanted. It need not be known yet: nothing can be read while S3 is away. An
// error has what was last seen of it, and where the logs are.
func (r REST) Await(
	ctx context.Context, id string, wanted func(document.Recording) bool,
) (document.Recording, error) {
	return r.await(ctx, "recording "+id, wanted, func() ([]document.Recording, error) {
		recording, err := r.Get(ctx, id)
		return []document.Recording{recording}, err
	})
}

// AwaitOf returns the first recording of a participant that is as wanted.
func (r REST) AwaitOf(
	ctx context.Context, room, identity string, wanted func(document.Recording) bool,
) (document.Recording, error) {
	return r.await(ctx, fmt.Sprintf("a recording of %s in %s", identity, room), wanted,
		func() ([]document.Recording, error) { return r.List(ctx, room, identity) })
}

func (r REST) await(
	ctx context.Context, what string, wanted func(document.Recording) bool, read func() ([]document.Recording, error),
) (document.Recording, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()

	var seen []document.Recording
	var failed error
	for {
		recordings, err := read()
		switch {
		case err == nil:
			seen, failed = recordings, nil
		case ctx.Err() == nil:
			failed = err
		}

		if err == nil {
			if n := slices.IndexFunc(recordings, wanted); n >= 0 {
				return recordings[n], nil
			}
		}

		select {
		case <-ctx.Done():
			return document.Recording{}, r.gaveUp(what, seen, errors.Join(ctx.Err(), failed))
		case <-ticker.C:
		}
	}
}

// gaveUp says what was last seen of what was waited for.
func (r REST) gaveUp(what string, seen []document.Recording, err error) error {
	last, encoding := json.MarshalIndent(seen, "", "  ")
	if encoding != nil {
		last = fmt.Append(nil, seen)
	}
	return fmt.Errorf("wait for %s: %w\nlast seen: %s\nlogs: %s", what, err, last, r.Logs)
}
