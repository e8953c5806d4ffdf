package room

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/livekit/protocol/auth"
	"github.com/stretchr/testify/require"

	"livekit-recorder/shared/keys"
)

// knowing answers as LiveKit does, which tells a token that it refuses, and counts the calls.
func knowing(t *testing.T, key keys.Key) (url string, calls *int) {
	t.Helper()
	calls = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := auth.ParseAPIToken(text)
		if err == nil && token.APIKey() == key.ID {
			_, err = token.Verify(key.Secret)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil || token.APIKey() != key.ID {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]string{"code": "unauthenticated", "msg": "invalid token: " + text})
			return
		}
		w.Header().Set("Content-Type", "application/protobuf") // an empty answer
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http", "ws", 1), calls
}

// While keys are changed, LiveKit may know the new one only, or the old one only.
func TestLiveKitIsAskedWithTheKeyThatItKnows(t *testing.T) {
	current, previous := keys.Key{ID: "new", Secret: "new-secret"}, keys.Key{ID: "old", Secret: "old-secret"}
	for name, c := range map[string]struct {
		knows keys.Key
		calls int
		err   error
	}{
		"the new one": {current, 1, nil},
		"the old one": {previous, 2, nil},
		"neither":     {keys.Key{ID: "third", Secret: "x"}, 2, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			url, calls := knowing(t, c.knows)
			p := &Pool{URL: url, Keys: keys.Fixed(current, previous), Log: quiet()}
			err := p.ask(t.Context())
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.calls, *calls)
			if err != nil {
				require.NotContains(t, err.Error(), "eyJ", "a token")
			}
		})
	}
}

// A bot that is refused at the door says so, and does not tell the token that LiveKit quotes.
func TestABotThatIsRefusedTellsNoToken(t *testing.T) {
	url, calls := knowing(t, keys.Key{ID: "third", Secret: "x"})
	p := &Pool{URL: url, Log: quiet(),
		Keys: keys.Fixed(keys.Key{ID: "new", Secret: "new-secret"}, keys.Key{ID: "old", Secret: "old-secret"})}
	b := newBot(p, "room")
	b.join()
	require.ErrorIs(t, b.err, errRefused)
	require.NotContains(t, b.err.Error(), "eyJ")
	require.GreaterOrEqual(t, *calls, 2)
	require.False(t, p.Reachable())
}
