package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/infra/local/analyse"
	"livekit-recorder/infra/local/participant"
	"livekit-recorder/infra/local/stack"
	"livekit-recorder/shared/ledger"
)

// token is what a user mints for the REST API.
func token(t *testing.T) string {
	t.Helper()
	token, err := auth.NewAccessToken(stack.LiveKitKey, stack.LiveKitSecret).
		SetVideoGrant(&auth.VideoGrant{RoomRecord: true}).SetValidFor(time.Hour).ToJWT()
	require.NoError(t, err)
	return token
}

// await polls GET /recordings until the participant's newest recording has a state.
func await(t *testing.T, room, identity string, state ledger.State) ledger.Recording {
	t.Helper()
	var last []ledger.Recording
	require.Eventually(t, func() bool {
		request, err := http.NewRequest(http.MethodGet, system.API+"/recordings?room="+url.QueryEscape(room)+"&participant="+url.QueryEscape(identity), nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token(t))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusOK, response.StatusCode)
		var answer struct{ Recordings []ledger.Recording }
		require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
		last = answer.Recordings
		return len(last) > 0 && last[len(last)-1].State == state
	}, 40*time.Second, 200*time.Millisecond, "no recording of %s in %s came to be %s", identity, room, state)
	return last[len(last)-1]
}

// checkSignal decodes a part and compares it with the test signal.
func checkSignal(t *testing.T, part ledger.Part) {
	t.Helper()
	path := system.Path(part.Key)
	file, err := analyse.Probe(t.Context(), path)
	require.NoError(t, err)
	complaints, err := analyse.Decode(t.Context(), path)
	require.NoError(t, err)
	require.Empty(t, complaints)
	flashes, err := analyse.Flashes(t.Context(), path)
	require.NoError(t, err)
	beeps, err := analyse.Beeps(t.Context(), path)
	require.NoError(t, err)
	offset, spread, err := analyse.Offset(flashes, beeps)
	require.NoError(t, err)
	offset -= participant.EncoderDelay
	t.Logf("%s: %s, %s, %d flashes, %d beeps, offset %s ± %s", part.Key, file.Codecs(), file.Duration(), len(flashes), len(beeps), offset, spread)
	require.InDelta(t, 0, offset.Seconds(), 0.020, "offset between audio and video")
	require.InDelta(t, part.Duration, file.Duration().Seconds(), 0.1, "the document's duration against the file's")
}
